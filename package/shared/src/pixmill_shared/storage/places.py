"""The users' own storage: stores for the prefixes that the settings allow, opened at first use, with pixmill's keys."""

from collections.abc import Sequence

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.places import Place
from pixmill_shared.errors import ConfigurationError, PermanentError
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage.signing import FileUrlSigner
from pixmill_shared.storage.store import ObjectStore
from pixmill_shared.storage.wiring import open_store


class PlaceNotAllowed(PermanentError):
    """No prefix of the settings holds the place; it may have been taken out since the job was made."""

    def __init__(self, variable: str) -> None:
        super().__init__(ErrorCode.FORBIDDEN_ADDRESS, f"The address is not under a prefix that {variable} allows.")


class Places:
    """One store a prefix and process. As with every store, no request is made before a fork.

    ``variable`` is the setting that lists ``allowed``. Raises ConfigurationError if a prefix and pixmill's own storage
    are one within the other: users could read what others uploaded there, or replace what pixmill made.
    """

    def __init__(
        self, variable: str, allowed: Sequence[Place], settings: StorageSettings, signer: FileUrlSigner, public_url: str
    ) -> None:
        self.variable = variable
        self.allowed = tuple(allowed)
        self._settings = settings
        self._signer = signer
        self._public_url = public_url
        self._stores: dict[Place, ObjectStore] = {}
        own = _own(settings)
        for prefix in self.allowed:
            if own.holds(prefix) or prefix.holds(own):
                raise ConfigurationError(
                    f"{variable}: {prefix} and PIXMILL_STORAGE_URL overlap. Give pixmill a prefix of its own."
                )

    def check(self, place: Place) -> Place:
        """The allowed prefix that holds it. Raises PlaceNotAllowed."""
        for prefix in self.allowed:
            if prefix.holds(place):
                return prefix
        raise PlaceNotAllowed(self.variable)

    def find(self, place: Place) -> tuple[ObjectStore, str]:
        """The store of ``place``, and its key there. Raises PlaceNotAllowed, ConfigurationError."""
        prefix = self.check(place)
        if prefix not in self._stores:
            settings = self._settings.model_copy(update={"url": str(prefix)})
            self._stores[prefix] = open_store(settings, self._signer, self._public_url)
        return self._stores[prefix], prefix.key_of(place)


def _own(settings: StorageSettings) -> Place:
    if settings.directory:
        # Not parsed: the operator's directory may have a name that no place of a user's can have.
        return Place("file", "", tuple(part for part in settings.directory.split("/") if part))
    return Place.parse(settings.url)
