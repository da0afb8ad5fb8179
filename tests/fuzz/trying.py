"""One case: a damaged file through one loader and one recipe, and what came of it."""

import random
import zlib

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError
from tests.fuzz.corpus import good_files
from tests.fuzz.damage import damaged, with_checksums

#: Small enough that a damaged size does not cost a second of zeroes.
LIMITS = PixelLimits(source=4_000_000, output=4_000_000, animation=8_000_000)
EXPLAINED = (
    ErrorCode.UNDECODABLE,
    ErrorCode.UNSUPPORTED_FORMAT,
    ErrorCode.TOO_MANY_PIXELS,
    ErrorCode.TOO_MANY_FRAMES,
    ErrorCode.MEMORY_LIMIT,
    ErrorCode.RECIPE_MISMATCH,
)
RECIPES = tuple(
    parse_recipe({"outputs": [{"name": "o", **output}]})
    for output in (
        {"operations": [{"op": "resize", "width": 32, "height": 32}]},
        {"operations": [{"op": "resize", "width": 24}], "format": "jpeg", "metadata": "keep"},
        {"operations": [{"op": "rotate", "angle": 90}], "format": "webp", "metadata": "keep_copyright"},
        {"format": "gif"},
        {"operations": [{"op": "resize", "width": 20}], "format": "png", "metadata": "keep"},
        {"operations": [{"op": "resize", "width": 16}], "format": "avif", "metadata": "keep"},
    )
)


class Attempt:
    """Number ``number`` of the endless list of cases: the same number is the same case."""

    def __init__(self, number: int, loader: str) -> None:
        names = sorted(good_files())
        self.name = names[number % len(names)]
        self.loader = loader
        data = damaged(good_files()[self.name], (number, self.name))
        self.data = with_checksums(data) if self.name.startswith("png") and number % 4 else data
        self.recipe = RECIPES[random.Random(zlib.crc32(self.data)).randrange(len(RECIPES))]

    def outcome(self) -> str:
        """``made``, or the code of a permanent error. Everything else is raised: it is a defect."""
        loader = choose_loader(LoaderChoice(self.loader))
        try:
            list(render(self.data, self.recipe, loader, LIMITS).outputs())
        except PermanentError as error:
            if error.code not in EXPLAINED:
                raise
            return str(error.code)
        return "made"
