"""How each kind of device speaks: bytes to values and back, without any input or output."""
