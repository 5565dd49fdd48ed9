"""What the daemon says, in Chinese: its phrases, its audit log, its notes."""
