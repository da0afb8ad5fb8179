"""Long work calls a step again and again, and ends where that raises: between frames, operations, encodes, outputs."""

import io
import time

import pytest
from PIL import Image

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.encoders import ENCODERS, Encoding
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.service.render import render
from pixmill_shared.domain.recipe import TAKEN, OutputFormat, parse_recipe

FRAMES = 8
MOVING = sorted(output_format for output_format, encoder in ENCODERS.items() if encoder.has_frames)


class Stopped(Exception):
    """What the step raises."""


class Steps:
    """Counts, and raises at the ``last``."""

    def __init__(self, last: int = 1_000_000) -> None:
        self.taken = 0
        self._last = last

    def __call__(self) -> None:
        self.taken += 1
        if self.taken >= self._last:
            raise Stopped


def frames() -> tuple[Image.Image, ...]:
    return tuple(Image.effect_noise((40, 30), 60 + number).convert("RGB") for number in range(FRAMES))


def animation() -> bytes:
    first, *others = frames()
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=50)
    return file.getvalue()


def rendered(steps: Steps, *outputs: dict[str, object], data: bytes | None = None) -> list[str]:
    recipe = parse_recipe({"outputs": list(outputs)}, TAKEN)
    rendering = render(data or animation(), recipe, PillowLoader(), PixelLimits(), step=steps)
    return [output.name for output in rendering.outputs()]


@pytest.mark.parametrize("output_format", MOVING)
def test_encoder_takes_a_step_before_nearly_every_frame(output_format: OutputFormat) -> None:
    steps = Steps()
    picture = Picture(frames(), (50,) * FRAMES, step=steps)
    whole = ENCODERS[output_format].encode(picture, Encoding(50))
    assert steps.taken >= FRAMES - 1
    with Image.open(io.BytesIO(whole)) as image:
        assert getattr(image, "n_frames", 1) == FRAMES


@pytest.mark.parametrize("output_format", MOVING)
def test_encoder_ends_in_the_middle(output_format: OutputFormat) -> None:
    picture = Picture(frames(), (50,) * FRAMES, step=Steps(FRAMES // 2))
    with pytest.raises(Stopped):
        ENCODERS[output_format].encode(picture, Encoding(50))


def test_frames_that_step_come_out_as_those_that_do_not() -> None:
    for output_format in MOVING:
        encode = ENCODERS[output_format].encode
        stepping = Picture(frames(), (50,) * FRAMES, step=Steps())
        # The noise is another at each call, so one set of frames serves both.
        plain = Picture(stepping.frames, stepping.durations)
        assert encode(stepping, Encoding(50)) == encode(plain, Encoding(50))


def test_animation_does_not_say_the_second_it_was_made_in() -> None:
    # A second try of a job makes the same file, whose ETag and sha256 are known already.
    first = int(time.time())
    data = ENCODERS[OutputFormat.AVIF].encode(Picture(frames(), (50,) * FRAMES), Encoding(50))
    # Seconds since 1904, of which the lower 4 bytes are all that differs (ISO/IEC 14496-12).
    for second in range(first, int(time.time()) + 1):
        assert (second + 2_082_844_800).to_bytes(8, "big")[4:] not in data


def test_decoding_takes_a_step_before_each_frame() -> None:
    steps = Steps()
    opened = PillowLoader().open(animation(), "gif")  # type: ignore[arg-type]
    opened.pixels(opened.header.size, FRAMES, steps)
    assert steps.taken == FRAMES
    opened = PillowLoader().open(animation(), "gif")  # type: ignore[arg-type]
    with pytest.raises(Stopped):
        opened.pixels(opened.header.size, FRAMES, Steps(3))


def test_each_operation_of_an_animation_takes_a_step_a_frame() -> None:
    def taken(*operations: dict[str, object]) -> int:
        steps = Steps()
        rendered(steps, {"name": "a", "format": "gif", "operations": list(operations)})
        return steps.taken

    sepia = {"op": "filter", "name": "sepia"}
    assert taken(sepia, sepia) - taken(sepia) >= FRAMES


def test_each_output_and_each_try_of_a_quality_takes_steps() -> None:
    file = io.BytesIO()
    frames()[0].save(file, "JPEG")

    def taken(*outputs: dict[str, object]) -> int:
        steps = Steps()
        rendered(steps, *outputs, data=file.getvalue())
        return steps.taken

    one, other = {"name": "a", "format": "webp"}, {"name": "b", "format": "png"}
    assert taken(one, other) > taken(one)
    assert taken({"name": "a", "format": "webp", "max_bytes": 400}) > taken(one) + 1


def test_work_that_is_stopped_makes_no_output_more() -> None:
    outputs = [{"name": f"o{number}", "format": "gif"} for number in range(5)]
    whole = Steps()
    assert len(rendered(whole, *outputs)) == 5
    recipe = parse_recipe({"outputs": outputs}, TAKEN)
    made = []
    with pytest.raises(Stopped):  # noqa: PT012
        for output in render(
            animation(), recipe, PillowLoader(), PixelLimits(), step=Steps(whole.taken // 2)
        ).outputs():
            made.append(output.name)
    assert 0 < len(made) < 5
