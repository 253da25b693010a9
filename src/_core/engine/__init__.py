"""When things happen: virtual time, processes, vCPUs, replay of recordings."""
