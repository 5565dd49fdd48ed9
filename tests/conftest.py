"""For all tests: hypothesis does not time examples, as the machine may be busy."""

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.load_profile("here")
