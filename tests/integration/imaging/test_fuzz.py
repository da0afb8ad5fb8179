"""A short part of ``make fuzz``, always the same cases."""

import pytest
import pyvips
from tests.fuzz.corpus import good_files, hostile_files
from tests.fuzz.trying import Attempt

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError

RECIPE = parse_recipe({"outputs": [{"name": "o", "operations": [{"op": "resize", "width": 32}]}]})
EVERY_KILOBYTE = (180, 135)

pytestmark = pytest.mark.parametrize("loader", ["vips", "pillow"])


def outcome(data, loader):
    try:
        rendered = list(render(data, RECIPE, choose_loader(LoaderChoice(loader)), PixelLimits()).outputs())
    except PermanentError as error:
        return str(error.code)
    return None if rendered[0].data else "nothing"


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_are_made_or_refused_with_a_reason(loader, part):
    for number in range(part, 400, 4):
        assert Attempt(number, loader).outcome()


@pytest.mark.parametrize("channels", [2, 5, 6])
def test_tiff_of_any_number_of_channels_is_made_or_undecodable(loader, channels):
    image = pyvips.Image.black(40, 30, bands=channels).copy(interpretation="srgb")
    assert outcome(image.tiffsave_buffer(), loader) in (None, "undecodable")


@pytest.mark.parametrize("name", sorted(good_files()))
def test_every_good_file_is_made(loader, name):
    assert outcome(good_files()[name], loader) is None


@pytest.mark.parametrize("name", sorted(good_files()))
def test_file_cut_at_any_kilobyte_is_undecodable_or_whole(loader, name):
    data = good_files(EVERY_KILOBYTE)[name]
    ends = [*range(0, len(data), 1024), len(data) - 1]
    found = {end: outcome(data[:end], loader) for end in ends}
    assert found[0] == "unsupported_format"
    assert set(found.values()) <= {None, "undecodable", "unsupported_format"}
    # What is lost near the end of a file may be nothing that is shown; half of it is never.
    assert all(found[end] for end in ends if end < len(data) * 0.5 and "tiff" not in name)


@pytest.mark.parametrize("name", sorted(hostile_files()))
def test_hostile_file_ends_as_it_should(loader, name):
    code, data = hostile_files()[name]
    assert outcome(data, loader) == code


def test_avif_of_a_kilobyte_that_claims_32k_by_32k_is_refused(loader):
    from tests.fuzz.corpus import avif_claiming

    data = avif_claiming(32_768, 32_768)
    assert len(data) < 1100
    assert outcome(data, loader) in ("too_many_pixels", "undecodable")


def test_complete_bomb_of_a_few_kilobytes_is_refused_before_it_is_decoded(loader):
    code, data = hostile_files()["png bomb, complete"]
    assert len(data) < 60_000
    assert outcome(data, loader) == code == "too_many_pixels"
