"""Lines of cells, for people."""

from collections.abc import Iterator, Sequence


def in_columns(lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Each column as wide as its widest cell. The first line is the heading."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
