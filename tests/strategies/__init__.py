"""Strategies: what each decides, and those that users write."""
