"""A client with the settings of a test, and names that resolve to what a test wants."""

from collections.abc import Sequence

from pixmill_shared.egress import EgressClient, Resolver
from pixmill_shared.settings.egress import EgressSettings

PATIENCE = 60
"""Seconds for an exchange whose deadline is not what is tested."""


class Names:
    """A resolver: each name has a list of answers, given in turn, the last one for ever; counts what it is asked."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._answers:
            raise OSError("no such name")
        answers = self._answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def client(resolver: Resolver | None = None, **settings: object) -> EgressClient:
    return EgressClient(EgressSettings(**settings), resolver or Names())


def fetch(
    egress: EgressClient,
    url: str,
    *,
    max_bytes: int = 1_000_000,
    deadline: float = PATIENCE,
    headers: dict[str, str] | None = None,
) -> bytes:
    with egress.download(url, max_bytes=max_bytes, deadline=deadline, headers=headers) as download:
        return b"".join(download.chunks)
