"""Who draws, as the environment says."""

import pytest

from pixmill_imaging.providers.gemini import GeminiProvider
from pixmill_imaging.providers.protocol import Unavailable
from pixmill_imaging.providers.wiring import real_provider
from pixmill_imaging.settings import GenerationSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import ConfigurationError


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GEMINI_API_KEY", "two words"),
        ("GEMINI_API_KEY", "key\r\nX-Other: 1"),
        ("GEMINI_API_KEY", "schlüssel"),
        ("GEMINI_API_KEY", "changeme"),
        ("GEMINI_MODEL", "../files"),
        ("GEMINI_MODEL", "models/gemini"),
        ("GEMINI_BASE_URL", "generativelanguage.googleapis.com"),
        ("GEMINI_BASE_URL", "ftp://example.com"),
        ("GEMINI_BASE_URL", "https://key@example.com"),
        ("GEMINI_BASE_URL", "https://example.com/?key=s3cret"),
        ("GEMINI_PICTURE_PRICE", "-1"),
        ("GEMINI_PICTURE_PRICE", "nan"),
        ("GEMINI_ASPECT_RATIO", "square"),
        ("GEMINI_ASPECT_RATIO", "0:1"),
        ("USE_REAL_IMAGE_GENERATION", "perhaps"),
        ("PIXMILL_GENERATION_TIMEOUT", "0"),
        ("PIXMILL_GENERATION_MAX_BYTES", "1"),
        ("PIXMILL_GENERATION_BUDGET", "inf"),
    ],
)
def test_wrong_value_is_named_by_its_variable_and_never_shown(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXMILL_ENV", "production")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable}: ") as caught:
        GenerationSettings.load()
    assert "s3cret" not in str(caught.value)
    assert "two words" not in str(caught.value)


def test_money_is_counted_in_millionths() -> None:
    assert GenerationSettings().price == 33_600
    assert GenerationSettings().budget is None
    assert GenerationSettings.model_validate({"budget_dollars": 0.1}).budget == 100_000
    assert GenerationSettings.model_validate({"budget_dollars": 1e-9}).budget == 1


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "GEMINI_API_KEY"),
        ({"GEMINI_API_KEY": "  "}, "GEMINI_API_KEY"),
        ({"GEMINI_API_KEY": "AIza", "USE_REAL_IMAGE_GENERATION": "false"}, "USE_REAL_IMAGE_GENERATION"),
    ],
    ids=["no-key", "blank-key", "switched-off"],
)
def test_without_a_real_provider_it_is_said_why(
    environment: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = real_provider()
    assert isinstance(found, Unavailable)
    assert found.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert reason in found.detail


def test_with_a_key_gemini_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", " AIza \n")
    found = real_provider()
    assert isinstance(found, GeminiProvider)
    assert "AIza" not in repr(GenerationSettings.load())
