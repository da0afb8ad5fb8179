"""What is asked of pixmill while things break: mixed jobs, sent by a client that tries again."""

import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.faults.stack import Stack

#: Kind of job, and how many of a hundred are of it.
SHARES: Final = {
    "upload": 30,
    "url": 18,
    "several": 14,
    "same": 12,
    "once": 8,
    "text": 6,
    "missing": 6,
    "canceled": 6,
}
#: How jobs may end: status or error code. A cancel may come too late.
ENDS: Final = {
    **dict.fromkeys(SHARES, frozenset({"completed"})),
    "text": frozenset({"unsupported_format"}),
    "missing": frozenset({"source_not_found"}),
    "canceled": frozenset({"completed", "canceled"}),
}
PATIENCE: Final = 90.0
"""Seconds that the client tries to be heard."""


@dataclass
class Order:
    """One job as its client sees it. ``expected`` are the ends it may have."""

    number: int
    kind: str
    document: dict[str, Any]
    expected: frozenset[str]
    outputs: int
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    job_id: str | None = None


class Load:
    """``name`` is in the metadata of each of its jobs."""

    def __init__(self, stack: Stack, jobs: int, dice: random.Random) -> None:
        self.name = f"load-{uuid.uuid4().hex[:12]}"
        self._stack = stack
        self.orders = list(_orders(self.name, stack, jobs, dice))
        self.problems: list[str] = []
        self._thread = threading.Thread(target=self._send_all, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_sent(self) -> None:
        """Until pixmill has taken every job."""
        self._thread.join(PATIENCE * 2)
        assert not self._thread.is_alive(), "the client is still sending"
        assert not self.problems, self.problems

    def send(self, kind: str, expected: str) -> str:
        """One more job, now; its id."""
        name = f"{self.name}-{kind}-{len(self.orders)}"
        document = _document(self._stack, self.name, len(self.orders), kind, name, random.Random(name))
        order = Order(len(self.orders), kind, document, frozenset({expected}), 1)
        with httpx.Client(base_url=self._stack.local.urls["api"], timeout=5, trust_env=False) as http:
            order.job_id = str(_sent(http, "/api/v1/jobs", order.document, order.key)["job_id"])
        self.orders.append(order)
        return order.job_id

    def by_job(self) -> dict[str, Order]:
        return {order.job_id: order for order in self.orders if order.job_id}

    def _send_all(self) -> None:
        try:
            with httpx.Client(base_url=self._stack.local.urls["api"], timeout=5, trust_env=False) as http:
                for order in self.orders:
                    order.job_id = _sent(http, "/api/v1/jobs", order.document, order.key)["job_id"]
                    if order.kind == "canceled":
                        _sent(http, f"/api/v1/jobs/{order.job_id}/cancel", None, uuid.uuid4().hex)
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")


def _sent(http: httpx.Client, path: str, document: dict[str, Any] | None, key: str) -> dict[str, Any]:
    """The answer, however often it takes: what the API did before it died it must not do again."""
    until = time.monotonic() + PATIENCE
    while True:
        said = "nothing"
        try:
            answer = http.post(path, json=document, headers={"Idempotency-Key": key})
            said = f"{answer.status_code}: {answer.text[:200]}"
            # 409 of a cancel: the job is over.
            if answer.is_success or (document is None and answer.status_code == 409):
                body: dict[str, Any] = answer.json()
                return body
            if answer.status_code not in (409, 429, 500, 502, 503, 504):
                raise AssertionError(f"{path} was answered with {said}")
        except httpx.TransportError as error:
            said = type(error).__name__
        assert time.monotonic() < until, f"{path} was not taken within {PATIENCE:g} s, the last answer was {said}"
        time.sleep(0.1)


def _orders(name: str, stack: Stack, jobs: int, dice: random.Random) -> Iterator[Order]:
    kinds = dice.choices(list(SHARES), weights=list(SHARES.values()), k=jobs)
    # One of each kind comes, whatever the dice say.
    kinds[: len(SHARES)] = dice.sample(list(SHARES), len(SHARES))
    for number, kind in enumerate(kinds[:jobs]):
        document = _document(stack, name, number, kind, f"{name}-{number}", dice)
        yield Order(number, kind, document, ENDS[kind], len(document["recipe"]["outputs"]))


def _document(stack: Stack, name: str, number: int, kind: str, mark: str, dice: random.Random) -> dict[str, Any]:
    picture, amount = dice.choice(sorted(stack.uploads)), dice.random()
    if kind == "same":
        picture, amount = min(stack.uploads), random.Random(name).random()
    return {
        "source": _source(stack, kind, picture, mark),
        "recipe": {"outputs": [_output(at, amount) for at in range(3 if kind == "several" else 1)]},
        "metadata": {"load": name, "number": str(number)},
        "webhook_url": f"{stack.neighbours.base}/hook",
    }


def _source(stack: Stack, kind: str, picture: str, mark: str) -> dict[str, str]:
    base = stack.neighbours.base
    match kind:
        case "url":
            return {"url": f"{base}/picture/{mark}/{picture}"}
        case "once" | "held":
            return {"url": f"{base}/{kind}/{mark}/{picture}"}
        case "text" | "missing":
            return {"url": f"{base}/{kind}/{mark}"}
    return {"upload_id": stack.uploads[picture]}


def _output(at: int, amount: float) -> dict[str, Any]:
    # Amounts that differ, so that hardly a rendition is there already.
    sharpen = {"op": "filter", "name": "sharpen", "amount": round(0.1 + amount, 9)}
    resize = {"op": "resize", "width": 60 + 40 * at, "height": 60 + 40 * at}
    return {"name": f"o{at}", "format": ("jpeg", "webp", "png")[at], "operations": [resize, sharpen]}
