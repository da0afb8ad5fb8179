"""A busy machine takes longer for an example than Hypothesis grants by default; what is tested here is no speed."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
