"""Messages as people read them: the files of ``templates/``, filled in by Mako, which comes with alembic."""

import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from mako.template import Template

from pixmill_notifier.channels.message import Message
from pixmill_notifier.domain import digest
from pixmill_shared.contract.alerts import MessageKind

_NAMES: Final = {MessageKind.ALERTS: "alerts", MessageKind.REPORT: "report"}

#: How what is filled in is escaped, by the end of a template's name. Nothing is filled in as it is, but in plain text.
_FILTERS: Final = {"slack.txt": ["str", "escape_slack"], "html": ["str", "h"]}


class Renderer:
    """``site`` is how people know this pixmill: the host of its public URL."""

    def __init__(self, site: str) -> None:
        self._site = site

    def render(self, message: Message, ending: str) -> str:
        """``alerts.`` or ``report.`` with ``ending``: ``txt``, ``html``, ``slack.txt``, ``subject.txt``."""
        template = _template(f"{_NAMES[message.kind]}.{ending}", ending)
        view = {"figures": _figures(message)} if message.kind is MessageKind.REPORT else message.body
        return str(template.render(site=self._site, size=digest.size, duration=digest.duration, when=when, **view))


def escape_slack(text: str) -> str:
    """The three characters that Slack wants escaped; with them nobody writes links or mentions into a message."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def when(moment: str) -> str:
    """``2026-03-01 07:00 UTC`` of what a row holds."""
    at = datetime.datetime.fromisoformat(moment).astimezone(datetime.UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _figures(message: Message) -> digest.Figures:
    return digest.Figures.from_document(message.body)


@cache
def _template(name: str, ending: str) -> Any:
    text = (files("pixmill_notifier") / "templates" / name).read_text()
    return Template(  # noqa: S702 - escaped by the default filters
        text,
        default_filters=_FILTERS.get(ending, ["str"]),
        imports=["from pixmill_notifier.channels.rendering import escape_slack"],
        strict_undefined=True,
    )
