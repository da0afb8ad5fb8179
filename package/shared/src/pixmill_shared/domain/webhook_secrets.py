"""Secrets that sign webhooks, in the form of the Standard Webhooks specification."""

import base64
import binascii
import secrets
from typing import Final

START: Final = "whsec_"
SHORTEST: Final = 24
LONGEST: Final = 64
"""Bytes."""


def new_secret() -> str:
    return START + base64.b64encode(secrets.token_bytes(SHORTEST)).decode()


def is_secret(text: str) -> bool:
    """``whsec_`` and 24 to 64 bytes in base64."""
    try:
        size = len(base64.b64decode(text.removeprefix(START), validate=True))
    except (binascii.Error, ValueError):
        return False
    return text.startswith(START) and SHORTEST <= size <= LONGEST
