"""Imaging engines, interleaved in one run: make bench-imaging [ARGS="--pictures 20 --rounds 5"]

For each kind of source: CPU milliseconds an image (decode, autorotate, fit 800x600, JPEG quality 80), the ratio to bare
libvips, SSIM to naive Pillow on the same bytes; images/s on two processes; then a blur, and three outputs in one render
against three renders (the kind "three"). Medians over rounds; libvips keeps no cache and has one thread. On a machine
that does other things meanwhile, --cpu-only leaves out what is measured by the clock.
"""

import argparse
import io
import multiprocessing
import statistics
import time
from collections.abc import Mapping

from bench import engines
from bench.engines import Engine
from PIL import Image

from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo

KINDS = ("p12", "p2", "png", "webp")
THREE_IN_ONE = "three"
THREE = (1600, 800, 200)
PROCESSES = 2


def sources(kind: str, count: int) -> list[bytes]:
    """Distinct pictures. p12: 12 MP JPEG that lies on its side, with ICC; p2: 2 MP JPEG; png: 4 MP RGBA; webp: 1 MP."""
    if kind == "p12":
        turned = (photo(4000, 3000, seed).transpose(Image.Transpose.ROTATE_90) for seed in range(count))
        return [jpeg(picture, orientation=6) for picture in turned]
    if kind == "p2":
        return [jpeg(photo(1632, 1224, seed)) for seed in range(count)]
    if kind == "png":
        return [encoded(photo(2300, 1740, seed).convert("RGBA"), "PNG", compress_level=1) for seed in range(count)]
    return [encoded(photo(1160, 870, seed), "WEBP") for seed in range(count)]


def cpu_ms(compared: Mapping[str, Engine], pictures: list[bytes], rounds: int) -> dict[str, float]:
    """The median over rounds of each engine's mean; the engines take turns picture by picture."""
    means: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(rounds):
        spent = dict.fromkeys(compared, 0.0)
        for data in pictures:
            for name, engine in compared.items():
                start = time.process_time()
                engine(data)
                spent[name] += time.process_time() - start
        for name, seconds in spent.items():
            means[name].append(seconds * 1000 / len(pictures))
    return {name: statistics.median(values) for name, values in means.items()}


def images_per_second(name: str, pictures: list[bytes], rounds: int) -> float:
    """On two processes, each with every picture; the slower one counts."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _prepare, (name, pictures)) as pool:
        pool.map(_loop, [1] * PROCESSES, chunksize=1)
        seconds = [max(pool.map(_loop, [1] * PROCESSES, chunksize=1)) for _ in range(rounds)]
    return PROCESSES * len(pictures) / statistics.median(seconds)


def compared_engines() -> dict[str, Engine]:
    return {
        "naive Pillow": engines.naive_pillow,
        "Pillow draft": engines.pillow_draft,
        "bare libvips": engines.bare_vips,
        "pixmill, vips": engines.pixmill(LoaderChoice.VIPS),
        "pixmill, pillow": engines.pixmill(LoaderChoice.PILLOW),
    }


_state: dict[str, object] = {}


def _prepare(name: str, pictures: list[bytes]) -> None:
    _state["engine"], _state["pictures"] = compared_engines()[name], pictures


def _loop(times: int) -> float:
    engine, pictures = _state["engine"], _state["pictures"]
    start = time.perf_counter()
    for _ in range(times):
        for data in pictures:  # type: ignore[attr-defined]
            engine(data)  # type: ignore[operator]
    return time.perf_counter() - start


def print_kind(kind: str, count: int, rounds: int, cpu_only: bool) -> None:
    pictures = sources(kind, count)
    compared = compared_engines()
    took = cpu_ms(compared, pictures, rounds)
    looks = {name: Image.open(io.BytesIO(engine(pictures[0]))) for name, engine in compared.items()}
    print(f"{kind}: {count} pictures, {sum(map(len, pictures)) / count / 1e6:.1f} MB each")
    for name in compared:
        same = ssim(looks["naive Pillow"], looks[name]) if looks[name].size == looks["naive Pillow"].size else 0.0
        speed = "" if cpu_only else f"{images_per_second(name, pictures, max(1, rounds // 2)):8.1f} img/s"
        ratio = took[name] / took["bare libvips"]
        print(f"  {name:16}{took[name]:8.1f} ms CPU{ratio:8.2f} of bare libvips{speed}   SSIM {same:.4f}", flush=True)
    blurred = {
        "bare": engines.bare_vips_blurred,
        "pixmill": engines.pixmill(LoaderChoice.VIPS, blur=engines.BLUR),
    }
    soft = cpu_ms(blurred, pictures, rounds)
    print(f"  with a blur of 2: bare libvips {soft['bare']:.1f}, ours with vips {soft['pixmill']:.1f} ms CPU", end="")
    print(f", {soft['pixmill'] / soft['bare']:.2f} of bare libvips", flush=True)


def print_three(count: int, rounds: int) -> None:
    pictures = sources("p12", count)
    for choice in (LoaderChoice.VIPS, LoaderChoice.PILLOW):
        compared = {"one": engines.pixmill(choice, *THREE)}
        compared |= {str(width): engines.pixmill(choice, width) for width in THREE}
        took = cpu_ms(compared, pictures, rounds)
        apart = sum(took[str(width)] for width in THREE)
        print(f"three outputs of p12, {choice}: in one {took['one']:.1f} ms CPU, apart {apart:.1f}: ", end="")
        print(f"{took['one'] / apart:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="*", default=(*KINDS, THREE_IN_ONE), choices=(*KINDS, THREE_IN_ONE))
    parser.add_argument("--cpu-only", action="store_true")
    arguments = parser.parse_args()
    for each in arguments.kinds:
        if each == THREE_IN_ONE:
            print_three(arguments.pictures, arguments.rounds)
        else:
            print_kind(each, arguments.pictures, arguments.rounds, arguments.cpu_only)
