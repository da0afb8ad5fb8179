"""Decisions about webhooks, in the standard library only."""
