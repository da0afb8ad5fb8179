"""Whom the health checks ask: what PIXMILL_SERVICES may say."""

import pytest

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.probing import ProbeSettings


def test_address_without_a_path_is_asked_whether_it_is_ready() -> None:
    told = "api=http://api:8000, flower=https://flower/flower/healthcheck ,worker=http://[::1]:8004/"
    assert ProbeSettings(services=told).urls == {
        "api": "http://api:8000/health/ready",
        "flower": "https://flower/flower/healthcheck",
        "worker": "http://[::1]:8004/health/ready",
    }


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("http://api:8000", "cannot be a service's name"),
        ("Api=http://api:8000", "cannot be a service's name"),
        ("database=http://db:1", "cannot be a service's name"),
        ("api=http://a,api=http://b", "is there twice"),
        ("api=", "what api is asked at is no URL"),
        ("api=http://a..b:1", "what api is asked at is no URL"),
        ("api=api:8000", "what api is asked at is no URL"),
        ("api=file:///etc/passwd", "what api is asked at is no URL"),
        ("api=http://me:secret@api:8000", "what api is asked at is no URL"),
        ("api=http://api:99999", "what api is asked at is no URL"),
        ("api=http://api:0", "what api is asked at is no URL"),
        ("api=http://api#ready", "what api is asked at is no URL"),
    ],
    ids=[
        *("no name", "upper case", "ours", "twice"),
        *("empty", "no host", "no scheme", "file", "login", "port", "port 0", "fragment"),
    ],
)
def test_what_cannot_be_asked_is_refused_without_showing_it(
    told: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXMILL_SERVICES", told)
    with pytest.raises(ConfigurationError, match=f"PIXMILL_SERVICES.*{says}") as refused:
        ProbeSettings.load()
    assert "secret" not in str(refused.value)
