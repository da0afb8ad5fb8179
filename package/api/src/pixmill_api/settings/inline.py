"""Who does the work: workers that a broker tells, or this process."""

import os
from typing import Final

from pydantic import Field

from pixmill_shared.settings.base import Settings
from pixmill_shared.settings.secrets import SecretSettings, WebhookSecretSettings


class InlineSettings(Settings):
    """Inline work needs ``pixmill-api[inline]``."""

    async_enabled: bool = Field(
        default=True,
        validation_alias="ASYNC_IMAGE_ENABLED",
        description="false: there is no broker and no worker, the API's process does the work itself",
    )
    fallback: bool = Field(
        default=False,
        validation_alias="PIXMILL_INLINE_FALLBACK",
        description="true: the API's process does small jobs and webhooks itself while the broker is down",
    )
    after: float = Field(
        default=30,
        ge=0,
        validation_alias="PIXMILL_INLINE_AFTER",
        description="seconds that the broker must have been down before",
    )
    max_bytes: int = Field(
        default=10_000_000,
        ge=1,
        validation_alias="PIXMILL_INLINE_MAX_BYTES",
        description="bytes of the largest source that is rendered in place of a worker; larger ones wait",
    )
    concurrency: int = Field(
        default=2,
        ge=1,
        le=64,
        validation_alias="PIXMILL_INLINE_CONCURRENCY",
        description="renders at once in an API that works itself; twice as many fetches, 4 times as many webhooks",
    )

    @property
    def always(self) -> bool:
        return not self.async_enabled

    @property
    def wanted(self) -> bool:
        """Now or at some time."""
        return self.always or self.fallback


_KEYS: Final = frozenset(
    str(field.validation_alias)
    for kind in (SecretSettings, WebhookSecretSettings)
    for field in kind.model_fields.values()
)


_OF_PROVIDERS: Final = frozenset({"GEMINI_API_KEY"})


def environment_without_keys() -> dict[str, str]:
    """Of a process that decodes hostile bytes: it signs and seals nothing, and has no key to lose."""
    return {name: value for name, value in environment_for_providers().items() if name not in _OF_PROVIDERS}


def environment_for_providers() -> dict[str, str]:
    """The same, of a process that has pictures made: it has the keys of who makes them, and no other."""
    return {name: value for name, value in os.environ.items() if name not in _KEYS}
