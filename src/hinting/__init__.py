"""hinting: a high-fidelity emulator of guest free page hinting."""
