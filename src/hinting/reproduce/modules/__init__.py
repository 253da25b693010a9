"""Published experiments that no scenario can do: a module each, whose `run` gives the emulated values by name."""
