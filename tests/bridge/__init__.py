"""What devices say and are told: every dialect from bytes to values and back, with noise and odd devices."""
