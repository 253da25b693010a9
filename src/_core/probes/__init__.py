"""Timed loops over system calls, memory and virtual machines: what a calibration of real hardware measures with."""
