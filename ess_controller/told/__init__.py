"""What the daemon is doing and why power is bounded, in words and plain numbers, for whoever shows it."""
