"""The address of made pixels: the same source, recipe and engine give the same rendition."""

import hashlib
from typing import Final

#: Raise it when any change makes other pixels or bytes of the same recipe; old renditions then stay, unused.
ENGINE_VERSION: Final = 4


def engine_name(loader_name: str) -> str:
    """Names what made a rendition, as ``vips-1``."""
    return f"{loader_name}-{ENGINE_VERSION}"


def rendition_key(source_sha256: str, recipe_hash: str, engine: str) -> str:
    """sha256 in hex of all that decides a rendition; ``engine`` is from ``engine_name``."""
    return hashlib.sha256(f"{source_sha256}\n{recipe_hash}\n{engine}".encode()).hexdigest()
