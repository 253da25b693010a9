"""The allocator by its rules: one suite, run on the plain model and on the compiled core."""
