"""How others see the running daemon and reach it: its socket, its SunSpec registers, its numbers for Prometheus."""
