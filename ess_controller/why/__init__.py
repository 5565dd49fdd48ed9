"""The command `ess why`: the picture of now or of an earlier moment, in sentences."""
