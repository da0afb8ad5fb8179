"""Stands in for Flower in workers and beat: the celery command imports all of it only to list its subcommand."""
