"""Use-cases that more than one process needs. Each takes a session, a store, a clock as arguments."""
