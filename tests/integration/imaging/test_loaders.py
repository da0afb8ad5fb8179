"""What is loaded into a process, and what is kept out of it."""

import subprocess
import sys

import pytest

from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.settings import LoaderChoice

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=150, check=False)


def test_choice_names_the_loader():
    assert choose_loader(LoaderChoice.AUTO).name == "vips"
    assert choose_loader(LoaderChoice.VIPS).name == "vips"
    assert choose_loader(LoaderChoice.PILLOW).name == "pillow"


def test_package_and_its_settings_import_no_heavy_library():
    code = (
        "import sys, pixmill_imaging, pixmill_imaging.settings, pixmill_shared.domain.recipe\n"
        "print(sorted({'PIL', 'pyvips', '_libvips'} & set(sys.modules)))"
    )
    assert python(code).stdout == "[]\n"


def test_pillow_alone_never_imports_libvips():
    code = (
        "import sys\n"
        "from pixmill_imaging.service.loaders import choose_loader, LoaderChoice\n"
        "choose_loader(LoaderChoice.PILLOW)\n"
        "print('pyvips' in sys.modules)"
    )
    assert python(code).stdout == "False\n"


@pytest.mark.parametrize(
    ("choice", "told"), [("auto", "pillow"), ("vips", "pyvips is not installed. Install pixmill-imaging[vips]")]
)
def test_without_pyvips_auto_is_pillow_and_vips_says_what_to_install(choice, told):
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'pyvips' else find(name, *a)\n"
        "from pixmill_imaging.service.loaders import choose_loader, LoaderChoice\n"
        f"print(choose_loader(LoaderChoice('{choice}')).name)"
    )
    done = python(code)
    assert told in done.stdout + done.stderr


@pytest.mark.parametrize("loader", ["vips", "pillow"])
def test_after_hostile_files_only_the_decoders_of_the_list_are_there(loader):
    code = (
        "import sys, tests.fuzz.trying as trying\n"
        "from PIL import Image\n"
        f"for number in range(150): trying.Attempt(number, {loader!r}).outcome()\n"
        "print(*sorted(Image.OPEN), *[name for name in sys.modules if 'Ppm' in name or 'Eps' in name])\n"
    )
    # DIB is a BMP without its file header, and stands in the same module.
    assert python(code).stdout.split() == ["AVIF", "BMP", "DIB", "GIF", "JPEG", "PNG", "TIFF", "WEBP"]


@pytest.mark.parametrize("kind", ["gif", "ppm", "svg"])
def test_libvips_has_no_decoder_that_is_not_used(kind):
    sources = {
        "gif": "__import__('tests.fuzz.corpus').fuzz.corpus.good_files()['gif']",
        "ppm": "b'P6 1 1 255 abc'",
        "svg": f"{SVG!r}",
    }
    code = (
        "import pyvips\n"
        "from pixmill_imaging.vips import library\n"
        "try:\n"
        f"    pyvips.Image.new_from_buffer({sources[kind]}, '')\n"
        "except pyvips.Error:\n"
        "    print('blocked')\n"
    )
    assert python(code).stdout == "blocked\n"


def test_libvips_decodes_nothing_beyond_the_list():
    code = (
        "import pyvips\n"
        f"svg = {SVG!r}\n"
        "print(pyvips.Image.new_from_buffer(svg, '').width)\n"
        "from pixmill_imaging.vips import library\n"
        "try:\n"
        "    pyvips.Image.new_from_buffer(svg, '')\n"
        "except pyvips.Error:\n"
        "    print('blocked', pyvips.concurrency_get(), pyvips.cache_get_max())\n"
    )
    assert python(code).stdout == "9\nblocked 1 0\n"
