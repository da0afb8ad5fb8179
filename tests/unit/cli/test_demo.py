"""The demonstration spends nothing that nobody asked it to, and says of placeholders that they are."""

import re
from pathlib import Path

import pytest

from pixmill.demo.menu import Dish, summary
from pixmill.demo.run import stack_environment

EXAMPLE = Path(__file__).parents[3] / ".env.example"
"""Names all variables."""


def dish(provider: str, why: str | None = None) -> Dish:
    return Dish("前菜", "枝豆", "Edamame", provider, why is None, why, None)


@pytest.mark.parametrize("given", [{}, {"GEMINI_API_KEY": "k"}, {"USE_REAL_IMAGE_GENERATION": "true"}], ids=str)
def test_a_key_that_happens_to_be_there_is_not_used(given: dict[str, str]) -> None:
    assert stack_environment(given, real=False)["USE_REAL_IMAGE_GENERATION"] == "false"


def test_who_asks_for_real_pictures_gets_the_settings_that_are_there() -> None:
    given = {"GEMINI_API_KEY": "k", "PATH": "/bin"}
    assert stack_environment(given, real=True) == {**given, "PIXMILL_EGRESS_ALLOW": "127.0.0.1"}


@pytest.mark.parametrize("real", [False, True], ids=["placeholders", "real"])
def test_settings_of_a_pixmill_of_ones_own_are_not_those_of_the_demonstration(real: bool) -> None:
    own = {
        "PIXMILL_AUTH": "on",
        "PIXMILL_ENV": "production",
        "PIXMILL_EGRESS_PROXY": "http://proxy.example:3128",
        "PIXMILL_EGRESS_ALLOW": "10.0.0.0/8",
        "PIXMILL_STORAGE_URL": "s3://precious",
        "PIXMILL_BIND": "0.0.0.0",
        "ASYNC_IMAGE_ENABLED": "false",
        "IMAGE_GENERATION_ENABLED": "false",
        "CELERY_TIMEZONE": "Asia/Tokyo",
        "FLOWER_URL_PREFIX": "flower",
        **dict.fromkeys(re.findall(r"^#? ?([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text(), re.MULTILINE), "20"),
    }
    own = {name: value for name, value in own.items() if not name.startswith(("GEMINI_", "PIXMILL_GENERATION_"))}
    assert {"MIN_WORKERS", "AWS_REGION", "USE_REAL_IMAGE_GENERATION", "PIXMILL_AUTH"} <= own.keys()
    about_money = {"PIXMILL_GENERATION_BUDGET": "0.5", "GEMINI_API_KEY": "k"}
    environ = stack_environment({**own, **about_money, "HOME": "/home/zoe"}, real)
    assert environ.pop("USE_REAL_IMAGE_GENERATION", "true") == ("true" if real else "false")
    assert environ == {**about_money, "HOME": "/home/zoe", "PIXMILL_EGRESS_ALLOW": "127.0.0.1"}


@pytest.mark.parametrize(
    ("dishes", "said"),
    [
        ([dish("gemini"), dish("gemini")], "2 of 2 pictures were made by gemini."),
        ([dish("placeholder", "No key."), dish("placeholder", "No key.")], "Placeholders: 2 of 2 pictures. No key."),
        (
            [dish("gemini"), dish("placeholder", "Refused."), dish("placeholder", "Away.")],
            "Placeholders: 2 of 3 pictures. Refused. Away.",
        ),
    ],
    ids=["all-real", "none-real", "some-real"],
)
def test_placeholders_are_counted_with_their_reasons(dishes: list[Dish], said: str) -> None:
    assert summary(dishes) == said
