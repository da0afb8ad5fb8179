"""The presets that every project has, as the engine makes them of a photo, of a small one and of an animation."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from pixmill_api.domain.builtin_presets import BUILTIN
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import Rendered, render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_shared.domain.recipe import parse_recipe

WIDE = [(320, 160), (640, 320), (960, 480), (1280, 640), (1920, 960)]


def made(preset: str, data: bytes) -> list[Rendered]:
    recipe = parse_recipe(BUILTIN[preset].recipe)
    return list(render(data, recipe, choose_loader(LoaderChoice.AUTO), PixelLimits()).outputs())


def large() -> bytes:
    return jpeg(photo(2000, 1000))


def small() -> bytes:
    return jpeg(photo(100, 50))


@pytest.mark.parametrize(
    ("preset", "source", "output_format", "sizes"),
    [
        ("thumbnail", large, "webp", [(320, 320)]),
        ("thumbnail", small, "webp", [(320, 320)]),
        ("web", large, "webp", [(1600, 800)]),
        ("web", small, "webp", [(100, 50)]),
        ("avatar", large, "webp", [(256, 256)]),
        ("avatar", small, "webp", [(256, 256)]),
        ("social-card", large, "jpeg", [(1200, 630)]),
        ("social-card", small, "jpeg", [(1200, 630)]),
        ("responsive", large, "webp", WIDE),
        ("responsive", small, "webp", [(100, 50)] * 5),
    ],
)
def test_builtin_preset_has_its_format_and_sizes(
    preset: str, source: Callable[[], bytes], output_format: str, sizes: list[tuple[int, int]]
) -> None:
    outputs = made(preset, source())
    assert [(output.width, output.height) for output in outputs] == sizes
    assert {str(output.format) for output in outputs} == {output_format}
    for output, size in zip(outputs, sizes, strict=True):
        picture = Image.open(io.BytesIO(output.data))
        assert picture.size == size
        assert (picture.mode == "RGBA") == (preset == "avatar")


def test_avatar_is_a_circle() -> None:
    (output,) = made("avatar", large())
    alpha = Image.open(io.BytesIO(output.data)).getchannel("A")
    corners = [alpha.getpixel(at) for at in ((0, 0), (255, 0), (0, 255), (255, 255))]
    edges = [alpha.getpixel(at) for at in ((128, 2), (2, 128), (253, 128), (128, 253), (128, 128))]
    assert (corners, edges) == ([0] * 4, [255] * 5)


@pytest.mark.parametrize(("preset", "frames"), [("thumbnail", 1), ("avatar", 1), ("social-card", 1), ("web", 3)])
def test_animation_becomes_a_still_where_a_still_is_shown(preset: str, frames: int) -> None:
    shots = [photo(60, 40, seed) for seed in (1, 2, 3)]
    data = encoded(shots[0], "GIF", save_all=True, append_images=shots[1:], duration=100)
    assert [output.frames for output in made(preset, data)] == [frames]
