"""Which outputs of an animation move, and how many frames have to be decoded for them."""

from collections.abc import Iterable

from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.encoders import ENCODERS
from pixmill_shared.domain.recipe import Output, OutputFormat


def moves(output: Output, source_format: SourceFormat) -> bool:
    """Would ``output`` show all frames of a source that has many?"""
    if not output.animated:
        return False
    if output.format is OutputFormat.AUTO:
        return not output.formats or any(ENCODERS[candidate].has_frames for candidate in output.formats)
    if output.format is OutputFormat.SOURCE:
        written = {str(output_format): encoder for output_format, encoder in ENCODERS.items()}
        return source_format in written and written[source_format].has_frames
    return ENCODERS[output.format].has_frames


def frames_to_load(outputs: Iterable[Output], source_format: SourceFormat, frames: int) -> int:
    """All ``frames`` of the source, or the first alone if nothing that is wanted moves."""
    return frames if any(moves(output, source_format) for output in outputs) else 1
