"""What files in an archive are called."""

import re
from typing import Final

_RESERVED: Final = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def file_name(output: str, extension: str) -> str:
    """``web.png``. Outputs of jobs that generate are called as their files are. Names of others are unique in a job, in
    lower case, and have neither dots nor slashes; but some of them are devices on Windows, which get a ``_`` before
    them, as no name of an output has.
    """
    if "." in output:
        return output
    return f"{'_' if _RESERVED.fullmatch(output) else ''}{output}.{extension}"
