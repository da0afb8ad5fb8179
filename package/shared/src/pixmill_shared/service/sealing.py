"""Encryption of secrets that are kept in rows."""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from pixmill_shared.errors import ConfigurationError


class Sealer:
    """Fernet under keys derived from PIXMILL_SECRET_KEY: the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def seal(self, secret: str) -> bytes:
        return self._fernet.encrypt(secret.encode())

    def unseal(self, sealed: bytes) -> str:
        """Raise ConfigurationError if no key fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise ConfigurationError(
                "A stored secret does not open with PIXMILL_SECRET_KEY. "
                "If the key was exchanged, put the old one into PIXMILL_SECRET_KEY_PREVIOUS."
            ) from None


def _derive(key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(b"pixmill sealed secrets\0" + key.encode()).digest())
