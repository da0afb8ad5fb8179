"""How many outputs a recipe may have: a setting of the API, and never a surprise for a worker."""

import pytest

from pixmill_api.errors import InvalidRequest
from pixmill_api.reading import read_job
from pixmill_api.settings import ApiSettings
from pixmill_shared.domain.recipe import TAKEN, Limits, parse_recipe
from pixmill_shared.errors import ConfigurationError


def job_of(outputs: int) -> dict[str, object]:
    recipe = {"outputs": [{"name": f"o{number}"} for number in range(outputs)]}
    return {"source": {"url": "https://example.com/a.jpg"}, "recipe": recipe}


def test_recipe_has_as_many_outputs_as_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ApiSettings.load().max_outputs == 20
    monkeypatch.setenv("PIXMILL_MAX_OUTPUTS", "3")
    limits = Limits(max_outputs=ApiSettings.load().max_outputs)
    assert len(read_job(job_of(3), limits)[1].outputs) == 3
    with pytest.raises(InvalidRequest) as caught:
        read_job(job_of(4), limits)
    assert caught.value.errors[0].pointer == "/recipe/outputs"


def test_worker_takes_whatever_the_setting_may_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_MAX_OUTPUTS", "101")
    with pytest.raises(ConfigurationError):
        ApiSettings.load()
    assert len(parse_recipe(job_of(100)["recipe"], TAKEN).outputs) == 100
