"""``python -m pixmill_imaging.testing DIRECTORY``: write a few photo-like pictures, for demonstrations."""

import sys
from pathlib import Path

from pixmill_imaging.testing.pictures import encoded, jpeg, photo


def main(directory: Path) -> None:
    """Four files: a 12-megapixel photo that lies on its side, and three that a shop or a newsroom would have."""
    directory.mkdir(parents=True, exist_ok=True)
    camera = photo(4000, 3000, seed=1)
    (directory / "camera-12mp.jpg").write_bytes(jpeg(camera, orientation=6))
    (directory / "product.png").write_bytes(encoded(photo(1600, 1600, seed=2), "PNG"))
    (directory / "press.jpg").write_bytes(jpeg(photo(2400, 1600, seed=3)))
    (directory / "menu.webp").write_bytes(encoded(photo(1200, 900, seed=4), "WEBP", quality=85))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
