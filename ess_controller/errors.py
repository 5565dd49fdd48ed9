"""What a command tells its user in one clear line and ends with: bad input (status 2), or trouble found (status 1)."""


class BadInputError(Exception):
    """Bad input: the message names the place, the value and what was expected. Exit status 2."""


class TroubleError(Exception):
    """The command ran and found trouble, which the message tells. Exit status 1."""
