"""The operator's page: a process of its own that looks through the daemon's window and into the files of its home."""
