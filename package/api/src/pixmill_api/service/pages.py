"""One page of a list whose rows go by their ids."""

from collections.abc import Sequence
from typing import Any

from pixmill_api.domain.ids import cursor_of


def page_of(data: list[dict[str, Any]], shown: Sequence[Any], *, more: bool) -> dict[str, Any]:
    """``data`` are the documents of the rows that are ``shown``; ``more``: there are others behind them."""
    return {"data": data, "next_cursor": cursor_of(shown[-1].id) if more else None, "has_more": more}
