"""Use-cases of the notifier."""
