"""The host: frames, blocks, discards and limits, and a plain model to compare with."""
