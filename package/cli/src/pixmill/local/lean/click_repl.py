"""Stands in for `click_repl` in workers and beat: the celery command wants it for its shells, which they have not."""


def register_repl(*_: object, **__: object) -> None:
    """Registers nothing."""
