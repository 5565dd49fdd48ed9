"""The wires: bytes to SI records and back, no policy."""
