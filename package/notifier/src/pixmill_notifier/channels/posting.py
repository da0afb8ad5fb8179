"""A POST through the guarded egress, and what its answer means to a channel."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from pixmill_notifier.errors import ChannelFailed
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import WorkError


@dataclass(frozen=True)
class Receiver:
    """``url`` is a secret: who knows it may write there. ``timeout`` in seconds, for the whole exchange."""

    egress: EgressClient
    url: SecretStr
    timeout: float

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """2xx is taken; raises ChannelFailed for anything else, with nothing of what was answered."""
        try:
            result = self.egress.post(self.url.get_secret_value(), body, headers, deadline=self.timeout)
        except WorkError as error:
            raise ChannelFailed(error.detail) from None
        if not 200 <= result.status < 300:
            raise ChannelFailed(f"The receiver answered with HTTP {result.status}.", result.retry_after)
