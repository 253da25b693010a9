"""What the host does with guest memory: frames, second-level maps, discard."""
