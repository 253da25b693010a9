"""The compiled cores: exact and sharp. `hinting` is the pleasant layer over them."""
