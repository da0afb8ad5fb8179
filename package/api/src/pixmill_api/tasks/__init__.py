"""The API's own Celery tasks: none so far. Named by the entry point, so that a worker imports what comes here."""
