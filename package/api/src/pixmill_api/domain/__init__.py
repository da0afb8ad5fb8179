"""Decisions of the API, in the standard library only."""
