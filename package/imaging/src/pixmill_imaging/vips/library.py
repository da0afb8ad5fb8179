"""libvips as pixmill runs it: one thread a process, nothing remembered, only allow-listed decoders.

Importing this module configures the library for the whole process. Import it in the process that renders, not
in a parent that forks.
"""

from typing import Final

import pyvips

#: libvips' own classes of loaders, one per format that ``vips.loader`` reads.
_ALLOWED_LOADERS: Final = (
    "VipsForeignLoadJpeg",
    "VipsForeignLoadPng",
    "VipsForeignLoadWebp",
    "VipsForeignLoadHeif",
    "VipsForeignLoadTiff",
)


def _configure() -> None:
    # Render processes are one per core: threads inside one would only compete with the others.
    pyvips.concurrency_set(1)
    # No job sees the source of another, so a cache only holds memory.
    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _ALLOWED_LOADERS:
        pyvips.operation_block_set(loader, False)


_configure()
