"""The demonstration spends nothing that nobody asked it to, and says of placeholders that they are."""

import pytest

from pixmill.demo.menu import Dish, summary
from pixmill.demo.run import stack_environment


def dish(provider: str, why: str | None = None) -> Dish:
    return Dish("前菜", "枝豆", "Edamame", provider, why is None, why, None)


@pytest.mark.parametrize("given", [{}, {"GEMINI_API_KEY": "k"}, {"USE_REAL_IMAGE_GENERATION": "true"}], ids=str)
def test_a_key_that_happens_to_be_there_is_not_used(given: dict[str, str]) -> None:
    assert stack_environment(given, real=False)["USE_REAL_IMAGE_GENERATION"] == "false"


def test_who_asks_for_real_pictures_gets_the_settings_that_are_there() -> None:
    given = {"GEMINI_API_KEY": "k", "PATH": "/bin"}
    assert stack_environment(given, real=True) == {**given, "PIXMILL_EGRESS_ALLOW": "127.0.0.1"}


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
