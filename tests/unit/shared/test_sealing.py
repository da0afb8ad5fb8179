"""Secrets in rows: sealed under PIXMILL_SECRET_KEY, opened also with the key before."""

import pytest

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.settings.secrets import SecretSettings

OLD, NEW = "the key of last year, long enough", "the key of this year, long enough"


def test_sealed_secret_opens_and_is_not_readable() -> None:
    sealer = Sealer([NEW])
    sealed = sealer.seal("whsec_ä")
    assert sealer.unseal(sealed) == "whsec_ä"
    assert b"whsec" not in sealed
    assert sealer.seal("whsec_ä") != sealed, "equal secrets must not look equal"


def test_secret_of_the_key_before_opens_after_a_rotation() -> None:
    sealed = Sealer([OLD]).seal("s")
    rotated = Sealer([NEW, OLD])
    assert rotated.unseal(sealed) == "s"
    assert Sealer([NEW]).unseal(rotated.seal("t")) == "t", "new secrets are sealed with the new key"


def test_secret_of_an_unknown_key_says_which_variable_to_set() -> None:
    with pytest.raises(ConfigurationError, match="PIXMILL_SECRET_KEY_PREVIOUS"):
        Sealer([NEW]).unseal(Sealer([OLD]).seal("s"))


@pytest.mark.parametrize("damaged", [b"", b"nonsense", b"\x00" * 100])
def test_damaged_secret_does_not_open(damaged: bytes) -> None:
    with pytest.raises(ConfigurationError):
        Sealer([NEW]).unseal(damaged)


def test_settings_give_the_current_key_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_SECRET_KEY", NEW)
    monkeypatch.setenv("PIXMILL_SECRET_KEY_PREVIOUS", OLD)
    assert SecretSettings.load().keys == (NEW, OLD)
    monkeypatch.setenv("PIXMILL_SECRET_KEY_PREVIOUS", "")
    assert SecretSettings.load().keys == (NEW,)
