"""obstore and forks: once its threads run, a forked child hangs for ever in its first request, even of a new store.

So a process that forks workers makes no request itself. Whoever breaks the rule gets an error in place of the hang.
"""

import os

_user: int | None = None


class UsedBeforeFork(RuntimeError):
    """A mistake in pixmill's own code: move the request into the child, or start the child by exec."""

    def __init__(self) -> None:
        super().__init__("this process was forked from one that had used the object store; its requests would hang")


def enter_library() -> None:
    """To be called before each request. Raises UsedBeforeFork."""
    global _user  # noqa: PLW0603 - the library's runtime is one per process, and so is this
    if _user is None:
        _user = os.getpid()
    elif _user != os.getpid():
        raise UsedBeforeFork
