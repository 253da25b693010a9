"""Published results against emulated ones."""
