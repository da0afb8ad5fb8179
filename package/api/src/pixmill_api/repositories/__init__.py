"""Queries that only the API asks."""
