"""The controller: pure functions from values to values, every beat. Sees only numpy and the records."""
