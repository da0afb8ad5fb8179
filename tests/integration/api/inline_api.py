"""An API that works itself: what tests send it, and what came of it."""

import base64
import io
import os
import time
from collections.abc import Callable
from typing import Any, Final

from PIL import Image
from standardwebhooks.webhooks import Webhook
from tests.integration.api.running import Api
from tests.integration.egress.servers import Conversation, Handler, Server

SECRET: Final = "whsec_" + base64.b64encode(b"a secret of the whole instance!!").decode()
PATIENCE: Final = 90
TERMINAL: Final = ("completed", "failed", "canceled")

#: No broker anywhere, and every wait short but those for a lease and a receiver, which must not end while a machine
#: stands still: whose end is what is tested ends it by hand.
ALWAYS: Final = {
    "ASYNC_IMAGE_ENABLED": "false",
    "REDIS_URL": "",
    "PIXMILL_WEBHOOK_SECRET": SECRET,
    "PIXMILL_EGRESS_ALLOW": "127.0.0.1",
    "PIXMILL_LEASE": "30",
    "PIXMILL_WEBHOOK_TIMEOUT": "60",
    "PIXMILL_DISPATCH_POLL": "0.2",
    "PIXMILL_LOG_LEVEL": "info",
}


def picture(width: int = 320, height: int = 240) -> bytes:
    """A JPEG that is different at each call."""
    noise = Image.frombytes("RGB", (16, 12), os.urandom(16 * 12 * 3)).resize((width, height))
    file = io.BytesIO()
    noise.save(file, "JPEG")
    return file.getvalue()


def upload(api: Api, data: bytes) -> str:
    answer = api.client.post("/api/v1/uploads", content=data, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["upload_id"])


def submit(api: Api, source: dict[str, Any] | None = None, **fields: Any) -> str:
    """The id of a job with one small output; of a new picture if no source is named."""
    source = source or {"upload_id": upload(api, picture())}
    outputs = [{"name": "web", "format": "png", "operations": [{"op": "resize", "width": 64}]}]
    answer = api.client.post("/api/v1/jobs", json={"source": source, "recipe": {"outputs": outputs}, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def job(api: Api, job_id: str) -> dict[str, Any]:
    answer = api.client.get(f"/api/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(api: Api, job_id: str, seconds: float = PATIENCE) -> dict[str, Any]:
    return until(lambda: (found := job(api, job_id))["status"] in TERMINAL and found, f"the end of {job_id}", seconds)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of ``condition``."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline
        if value := condition():
            return value
        assert not late, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def verified(received: Conversation) -> dict[str, Any]:
    """The body of a webhook; raises if its signature is wrong."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    body: dict[str, Any] = Webhook(SECRET).verify(received.body, {name: received.header(name) or "" for name in names})
    return body


def serving(data: bytes) -> Handler:
    """A web server with one picture, which also takes webhooks."""

    def handler(conversation: Conversation) -> None:
        if conversation.head.startswith("POST"):
            conversation.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\nConnection: close\r\n"
            )
            conversation.send(head.encode() + b"\r\n" + data)

    return handler


def webhooks(server: Server) -> list[Conversation]:
    return [each for each in server.seen if each.head.startswith("POST")]
