"""`python -m pixmill` is `pixmill`."""

from pixmill.cli import app

app()
