"""Means of a minute, of 15 min and of a day, kept by the daemon itself: history without any database."""
