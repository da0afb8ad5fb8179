"""Use-cases: what a task does, free of Celery."""
