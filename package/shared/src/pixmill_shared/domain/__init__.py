"""Decisions, in the standard library only: no Celery, no SQL, no HTTP, no pictures."""
