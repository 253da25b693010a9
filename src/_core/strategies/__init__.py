"""When a guest hands memory back: the hook table and one file a strategy."""
