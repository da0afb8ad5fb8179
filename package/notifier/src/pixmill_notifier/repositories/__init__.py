"""Queries of the notifier: what alerts and reports are decided by."""
