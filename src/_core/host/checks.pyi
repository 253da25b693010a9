"""What a recount found, in words: nothing for Python."""
