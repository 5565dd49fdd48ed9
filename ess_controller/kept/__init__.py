"""What the daemon keeps in its own folder, and how a file survives a power cut, a full disk and another process."""
