"""Every filter against a plain computation of its definition, pixel by pixel, on what both loaders load."""

import io
import random

import pytest
from PIL import Image

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.kernels import Kernels
from pixmill_imaging.pillow.operations import apply_operation
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.view import View
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, photo
from pixmill_shared.domain.recipe import Autocontrast, parse_recipe

SIZE = (48, 32)
POINTWISE = {
    "sepia": [{}, {"amount": 0.4}],
    "invert": [{}, {"amount": 0.25}],
    "brightness": [{}, {"amount": 0}, {"amount": 0.5}, {"amount": 3}],
    "contrast": [{}, {"amount": 0}, {"amount": 0.5}, {"amount": 3}],
    "saturation": [{}, {"amount": 0}, {"amount": 0.5}, {"amount": 4}],
    "autocontrast": [{}, {"cutoff": 0}, {"cutoff": 20}],
}
CASES = [(name, parameters) for name, cases in POINTWISE.items() for parameters in cases]


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def colours():
    """A dull picture: its tones leave room at both ends."""
    return photo(*SIZE, seed=5).point(lambda sample: 40 + sample * 0.6)


def filtered(image, loader, name, **parameters):
    step = {"op": "filter", "name": name, **parameters}
    recipe = parse_recipe({"outputs": [{"name": "a", "format": "png", "operations": [step]}]})
    (rendered,) = render(encoded(image, "PNG"), recipe, loader, PixelLimits()).outputs()
    made = Image.open(io.BytesIO(rendered.data))
    made.load()
    # A palette, where it loses nothing, is the encoder's choice.
    return made.convert("RGBA" if "transparency" in made.info else "RGB") if made.mode == "P" else made


def luma(pixel):
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


def sepia(pixel, amount):
    rows = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
    brown = [sum(share * sample for share, sample in zip(row, pixel, strict=True)) for row in rows]
    return [(1 - amount) * sample + amount * other for sample, other in zip(pixel, brown, strict=True)]


def expected(name, parameters, pixels):
    """The definition, in floating point."""
    amount = parameters.get("amount", {"sepia": 1, "invert": 1}.get(name, 1.2))
    definitions = {
        "sepia": lambda pixel: sepia(pixel, amount),
        "invert": lambda pixel: [(1 - amount) * s + amount * (255 - s) for s in pixel],
        "brightness": lambda pixel: [s * amount for s in pixel],
        "contrast": lambda pixel: [(s - 127.5) * amount + 127.5 for s in pixel],
        "saturation": lambda pixel: [luma(pixel) + amount * (s - luma(pixel)) for s in pixel],
        "autocontrast": stretched(pixels, parameters.get("cutoff", 1)),
    }
    return [[min(255, max(0, sample)) for sample in definitions[name](pixel)] for pixel in pixels]


def stretched(pixels, cutoff):
    tones = sorted(round(luma(pixel)) for pixel in pixels)
    lost = int(len(tones) * cutoff / 100)
    black, white = tones[lost], tones[-1 - lost]
    return lambda pixel: [(sample - black) * 255 / (white - black) for sample in pixel]


def pixels_of(image):
    data = image.tobytes()
    return [tuple(data[at : at + 3]) for at in range(0, len(data), 3)]


def furthest(one, other):
    return max(abs(a - b) for p, q in zip(one, other, strict=True) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_filter_is_what_its_definition_says(colours, loader, name, parameters):
    # What has no colour left is written as grey.
    made = filtered(colours, loader, name, **parameters).convert("RGB")
    wanted = expected(name, parameters, pixels_of(colours))
    # Luma is a whole number by the time it is used: an error of a half is multiplied by the amount.
    slack = 1 + parameters.get("amount", 1.2) / 2 if name in ("saturation", "autocontrast") else 1
    assert furthest(pixels_of(made), wanted) <= slack + 1e-6


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_alpha_is_untouched_and_colours_are_those_of_the_opaque_picture(colours, loader, name, parameters):
    see_through = colours.convert("RGBA")
    # Nowhere 0: what cannot be seen does not count for autocontrast.
    see_through.putalpha(Image.linear_gradient("L").resize(SIZE).point(lambda alpha: max(1, alpha)))
    made = filtered(see_through, loader, name, **parameters)
    made = made.convert("RGBA")
    assert made.getchannel("A").tobytes() == see_through.getchannel("A").tobytes()
    opaque = filtered(colours, loader, name, **parameters).convert("RGB")
    assert furthest(pixels_of(made.convert("RGB")), pixels_of(opaque)) == 0


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_grey_picture_is_filtered_as_the_same_picture_in_rgb(colours, loader, name, parameters):
    grey = colours.convert("L")
    made = filtered(grey, loader, name, **parameters)
    assert made.mode == ("RGB" if name == "sepia" else "L")
    other = filtered(grey.convert("RGB"), loader, name, **parameters)
    assert furthest(pixels_of(made.convert("RGB")), pixels_of(other.convert("RGB"))) <= 1


def test_neutral_amounts_change_nothing(colours, loader):
    for name, amount in [("sepia", 0), ("invert", 0), ("brightness", 1), ("contrast", 1), ("saturation", 1)]:
        assert filtered(colours, loader, name, amount=amount).tobytes() == colours.tobytes(), name


def test_no_saturation_is_grayscale_and_two_negatives_are_the_picture(colours, loader):
    grey = filtered(colours, loader, "grayscale")
    assert filtered(colours, loader, "saturation", amount=0).convert("L").tobytes() == grey.tobytes()
    assert filtered(filtered(colours, loader, "invert"), loader, "invert").tobytes() == colours.tobytes()


def test_autocontrast_reaches_both_ends_and_leaves_one_tone_alone(loader, colours):
    lows, highs = zip(*filtered(colours, loader, "autocontrast").convert("RGB").getextrema(), strict=True)
    assert min(lows) == 0
    assert max(highs) == 255
    flat = Image.new("RGB", SIZE, (90, 90, 90))
    assert filtered(flat, loader, "autocontrast").tobytes() == flat.tobytes()
    empty = Image.new("RGBA", SIZE, (90, 20, 90, 0))
    assert filtered(empty, loader, "autocontrast").getextrema()[3] == (0, 0)


def test_autocontrast_does_not_count_what_cannot_be_seen(colours, loader):
    hidden = colours.convert("RGBA")
    hidden.paste((255, 255, 255, 0), (0, 0, 10, SIZE[1]))
    hidden.paste((0, 0, 0, 0), (10, 0, 20, SIZE[1]))
    seen = colours.crop((20, 0, *SIZE))
    made = filtered(hidden, loader, "autocontrast").crop((20, 0, *SIZE)).convert("RGB")
    assert made.tobytes() == filtered(seen, loader, "autocontrast").tobytes()


def autocontrasted(picture):
    return apply_operation(View.of(picture), Autocontrast(), Kernels(no_focus), None).settled()


def no_focus(*_):
    raise AssertionError("nothing is placed here")


def test_all_frames_of_an_animation_are_stretched_alike(colours):
    dark = colours.point(lambda sample: sample * 0.5)
    made, alone = (autocontrasted(picture) for picture in (Picture((colours, dark), (10, 10)), Picture.still(dark)))
    assert made.frames[0].getextrema() != colours.getextrema()
    # Stretched on its own the dark frame would be as light as the first.
    assert made.frames[1].tobytes() != alone.frames[0].tobytes()
    assert max(high for _, high in made.frames[1].getextrema()) < 200


def blurred(grey, size, sigma):
    """Gaussian, summed up from its definition; edges are repeated."""
    reach = int(3 * sigma) + 1
    weights = [2.718281828 ** (-(d * d) / (2 * sigma * sigma)) for d in range(-reach, reach + 1)]

    def along(samples, count, step, other, other_step):
        out = [0.0] * len(samples)
        for row in range(other):
            for at in range(count):
                places = (min(count - 1, max(0, at + d)) for d in range(-reach, reach + 1))
                total = sum(w * samples[row * other_step + p * step] for w, p in zip(weights, places, strict=True))
                out[row * other_step + at * step] = total / sum(weights)
        return out

    width, height = size
    return along(along(list(grey), width, 1, height, width), height, width, width, 1)


@pytest.mark.parametrize("sigma", [0.6, 1, 1.5, 2, 4, 6, 9])
def test_blur_is_near_the_gaussian_of_its_sigma(loader, colours, sigma):
    grey = colours.convert("L")
    made = filtered(grey, loader, "blur", sigma=sigma)
    errors = [abs(a - b) for a, b in zip(made.tobytes(), blurred(grey.tobytes(), SIZE, sigma), strict=True)]
    # Three box blurs are no Gaussian at the hardest edges; a sigma that is a third off is 1.3 off in the mean.
    assert max(errors) <= 9
    assert sum(errors) / len(errors) <= 1


@pytest.mark.parametrize("sigma", [0.1, 0.5, 0.7, 1, 2, 3, 5, 8, 9.9, 11, 20])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_blur_makes_nothing_lighter_or_darker(loader, sigma, mode):
    for tone in (0, 77, 128, 255):
        flat = Image.new("L", (40, 30), tone).convert(mode)
        assert filtered(flat, loader, "blur", sigma=sigma).convert(mode).tobytes() == flat.tobytes()


def test_colour_of_what_cannot_be_seen_does_not_bleed(loader):
    half = Image.new("RGBA", SIZE, (255, 0, 0, 0))
    half.paste((0, 0, 255, 255), (0, 0, 24, SIZE[1]))
    made = filtered(half, loader, "blur", sigma=2).convert("RGBA")
    seen = [pixel for pixel in made.get_flattened_data() if pixel[3]]
    assert any(0 < pixel[3] < 255 for pixel in seen)
    # An alpha of 1 has no room for shades.
    assert max(pixel[0] for pixel in seen) == 0
    assert min(pixel[2] for pixel in seen if pixel[3] > 8) >= 250


def test_filters_take_any_size(loader):
    dice = random.Random(1)
    for width, height in [(1, 1), (1, 7), (9, 2)]:
        image = Image.frombytes("RGB", (width, height), dice.randbytes(width * height * 3))
        for name in ("grayscale", "blur", "sharpen", *POINTWISE):
            assert filtered(image, loader, name).size == (width, height), name
