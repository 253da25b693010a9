"""The addresses of the C interface; the interface itself is api.pxd."""

def addresses() -> dict[str, int]:
    """Addresses of the functions that a hook may call, by name."""
