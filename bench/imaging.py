"""CPU milliseconds an image, engines interleaved: .venv/bin/python bench/imaging.py [--rounds N]

Prints, for one operation (decode, autorotate, fit 800x600, JPEG quality 80): naive Pillow, bare libvips, and pixmill
with either loader; then three outputs in one render against three renders. Medians; ``bare`` is the ratio to libvips.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable

from PIL import Image, ImageOps

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_imaging.testing.ssim import ssim
from pixmill_shared.domain.recipe import Output, OutputFormat, Recipe, Resize

BOX = (800, 600)
THREE = (1600, 800, 200)


def naive_pillow(data: bytes) -> bytes:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    image = ImageOps.contain(image, BOX, Image.Resampling.LANCZOS)
    return encoded(image, "JPEG", quality=80)


def bare_vips(data: bytes) -> bytes:
    import pyvips

    profile = pyvips.Image.new_from_buffer(data, "").get_typeof("icc-profile-data")
    colour = {"output_profile": "srgb"} if profile else {}
    image = pyvips.Image.thumbnail_buffer(data, BOX[0], height=BOX[1], size="down", **colour)
    made: bytes = image.flatten(background=255).jpegsave_buffer(Q=80, keep="none")
    return made


def pixmill(choice: LoaderChoice, *widths: int) -> Callable[[bytes], bytes]:
    loader = choose_loader(choice)
    outputs = [Output(f"w{width}", (Resize(width, width * 3 // 4),), OutputFormat.JPEG, 80) for width in widths]

    def run(data: bytes) -> bytes:
        return list(render(data, Recipe(tuple(outputs)), loader, PixelLimits()).outputs())[-1].data

    return run


def measure(engines: dict[str, Callable[[bytes], bytes]], pictures: list[bytes], rounds: int) -> dict[str, float]:
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            for data in pictures:
                start = time.process_time()
                engine(data)
                spent[name].append((time.process_time() - start) * 1000)
    return {name: statistics.median(times) for name, times in spent.items()}


def sources(kind: str) -> list[bytes]:
    if kind == "p12":
        turned = (photo(4000, 3000, seed).transpose(Image.Transpose.ROTATE_90) for seed in range(3))
        return [jpeg(picture, orientation=6) for picture in turned]
    if kind == "p2":
        return [jpeg(photo(1632, 1224, seed)) for seed in range(3)]
    if kind == "png":
        return [encoded(photo(2300, 1740, seed).convert("RGBA"), "PNG") for seed in range(2)]
    return [encoded(photo(1160, 870, seed), "WEBP") for seed in range(2)]


def print_single(rounds: int) -> None:
    engines = {
        "naive Pillow": naive_pillow,
        "bare libvips": bare_vips,
        "pixmill, vips": pixmill(LoaderChoice.VIPS, BOX[0]),
        "pixmill, pillow": pixmill(LoaderChoice.PILLOW, BOX[0]),
    }
    print(f"{'':16}" + "".join(f"{name:>17}" for name in engines) + "    vips/bare   SSIM vips, pillow to naive")
    for kind in ("p12", "p2", "png", "webp"):
        pictures = sources(kind)
        took = measure(engines, pictures, rounds)
        looks = [Image.open(io.BytesIO(engine(pictures[0]))) for engine in engines.values()]
        same = [ssim(looks[0], look) if look.size == looks[0].size else 0.0 for look in looks]
        row = "".join(f"{took[name]:14.1f} ms" for name in engines)
        ratio = took["pixmill, vips"] / took["bare libvips"]
        print(f"{kind:16}{row}{ratio:13.2f}   {same[2]:.4f}, {same[3]:.4f}")


def print_three(rounds: int) -> None:
    pictures = sources("p12")
    for choice in (LoaderChoice.VIPS, LoaderChoice.PILLOW):
        engines = {"one": pixmill(choice, *THREE)} | {str(width): pixmill(choice, width) for width in THREE}
        took = measure(engines, pictures, rounds)
        apart = sum(took[str(width)] for width in THREE)
        ratio = took["one"] / apart
        print(f"three outputs of p12, {choice}: in one {took['one']:.1f} ms, apart {apart:.1f} ms: {ratio:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print_single(arguments.rounds)
    print_three(arguments.rounds)
