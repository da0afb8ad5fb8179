"""From who asks and what for to a stream that is ready to be served."""

import datetime
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from pixmill_api.auth import Context, caller_of
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotAuthenticated, NotFound
from pixmill_api.progress.event import Event
from pixmill_api.progress.hub import Hub
from pixmill_api.progress.streams import BatchStream, JobStream, ProjectStream, Stream
from pixmill_api.progress.topics import Viewer
from pixmill_api.settings import StreamSettings
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.domain.ids import least_id, moment_of

LOOK_BACK: Final = 5.0
"""Seconds before the event that a viewer saw last: one that was minted earlier may have been committed later."""

_NO_LINK: Final = "The address is not valid, or no longer. Ask for the job or batch again to get a fresh one."

MOST_REPLAYED: Final = 1_000
"""Events that a viewer who comes back is sent at once."""


@dataclass(frozen=True)
class Opened:
    """``held`` has to be closed when the stream is over."""

    stream: Stream
    viewer: Viewer
    held: ExitStack


def hub_of(connection: HTTPConnection) -> Hub:
    """The process' own."""
    found: Hub = connection.app.state.hub
    return found


def settings_of(connection: HTTPConnection) -> StreamSettings:
    """The process' own."""
    found: StreamSettings = connection.app.state.streams
    return found


async def project_of(connection: HTTPConnection, kind: str, id: str) -> str | None:
    """Whose job or batch may be watched: that of the API key, or None for this one alone, by a signed link.

    Raises NotAuthenticated, and what else ``caller_of`` raises.
    """
    context: Context = connection.app.state.context
    query = connection.query_params
    if not context.settings.keys_required or "Authorization" in connection.headers or "signature" not in query:
        return (await caller_of(connection, Scope.READ)).project
    now = datetime.datetime.now(datetime.UTC)
    if not context.links.opens(f"{kind}/{id}", query.get("expires", ""), query["signature"], now):
        raise NotAuthenticated(_NO_LINK)
    return None


def last_event_id_of(connection: HTTPConnection) -> str | None:
    """The header of a browser that connects anew, or the parameter of a client that cannot set it."""
    return connection.headers.get("Last-Event-ID") or connection.query_params.get("last_event_id")


async def open_job(hub: Hub, project: str | None, id: str, last_event_id: str | None) -> Opened:
    """``project`` None: whichever. Raises NotFound, StreamsUnavailable and the database's errors."""
    with ExitStack() as held:
        viewer = held.enter_context(hub.viewer())
        topic = held.enter_context(hub.jobs.watched(_id(id, "job"), viewer))
        state = await hub.jobs.read(topic)
        if state is None or project not in (None, state.look.project):
            raise NotFound("There is no such job.")
        return Opened(JobStream(topic, state, last_event_id), viewer, held.pop_all())


async def open_batch(hub: Hub, project: str | None, id: str, last_event_id: str | None) -> Opened:
    """As ``open_job``."""
    with ExitStack() as held:
        viewer = held.enter_context(hub.viewer())
        topic = held.enter_context(hub.batches.watched(_id(id, "batch"), viewer))
        state = await hub.batches.read(topic)
        if state is None or project not in (None, state.project):
            raise NotFound("There is no such batch.")
        return Opened(BatchStream(topic, state, last_event_id), viewer, held.pop_all())


async def open_project(hub: Hub, project: str, last_event_id: str | None) -> Opened:
    """Raises StreamsUnavailable and the database's errors."""
    seen = parse_id(last_event_id) if last_event_id else None
    with ExitStack() as held:
        viewer = held.enter_context(hub.viewer())
        feed = held.enter_context(hub.feeds.watched(project, viewer))
        await hub.settle_feed()
        count, replayed, gap = feed.count, list[Event](), False
        if seen is not None:
            after = least_id(moment_of(seen) - datetime.timedelta(seconds=LOOK_BACK))
            replayed, gap = await hub.replay(project, after, MOST_REPLAYED)
            replayed = [event for event in replayed if event.id != str(seen)]
        return Opened(ProjectStream(feed, count, replayed, gap=gap), viewer, held.pop_all())


def _id(text: str, kind: str) -> str:
    found: uuid.UUID | None = parse_id(text)
    if found is None:
        raise NotFound(f"There is no such {kind}.")
    return str(found)
