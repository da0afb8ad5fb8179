"""Starts Flower: ``python -m pixmill_shared.flower``, in the image and on one machine alike.

Flower without a login is open to everyone, and it can stop workers. So this refuses to start without FLOWER_USER and
FLOWER_PASSWORD, hands them over in the environment (the arguments of a process are everybody's to read), and then
becomes ``celery -A pixmill_shared.celery_app flower`` on PIXMILL_BIND and PIXMILL_PORT (default 5555). Any FLOWER_
variable of Flower's own is passed on.
"""

import os
import sys
from typing import Final

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.flower import FlowerSettings
from pixmill_shared.settings.process import ListenSettings

DEFAULT_PORT: Final = 5555


def command(listen: ListenSettings) -> list[str]:
    """The arguments: Celery's options first, no secret among them."""
    port = listen.port if "port" in listen.model_fields_set else DEFAULT_PORT
    celery = [sys.executable, "-m", "celery", "-A", "pixmill_shared.celery_app"]
    return [*celery, "flower", f"--address={listen.bind}", f"--port={port}"]


def main() -> None:
    """Does not return: either this process becomes Flower, or a setting is wrong and it ends with status 1."""
    try:
        login, listen = FlowerSettings.load(), ListenSettings.load()
        BrokerSettings.load()
    except ConfigurationError as error:
        print(f"pixmill: {error}", file=sys.stderr)  # noqa: T201 - nothing else runs yet
        raise SystemExit(1) from None
    # Becoming Flower, not starting it: signals and the exit status need nobody to pass them on.
    os.execve(sys.executable, command(listen), login.process_environment())  # noqa: S606 - a list, no shell


if __name__ == "__main__":
    main()
