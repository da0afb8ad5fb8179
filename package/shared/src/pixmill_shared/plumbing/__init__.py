"""How pixmill sits in Celery: configuration, task registration, worker and beat processes."""
