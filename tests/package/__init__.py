"""The package as it is imported: light, documented, with true lists of public names and stubs."""
