"""The daemon: reads the cabinets, decides, and writes one set of commands each beat."""
