"""What the user can put right: told in one clear line each, exit status 2."""


class BadInputError(Exception):
    """Bad input: the message names the place, the value and what was expected."""
