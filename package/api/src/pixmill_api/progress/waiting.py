"""Waiting for one job to end: in async code, without a thread and without a connection of the database."""

import asyncio

from starlette.types import Receive

from pixmill_api.progress.hub import Hub
from pixmill_api.progress.sse import departure


async def until_ended(hub: Hub, job_id: str, seconds: float, receive: Receive) -> None:
    """At most ``seconds``; not when the client has gone, the process ends, or the job is there no more.

    Raises StreamsUnavailable and the database's errors.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    with hub.viewer() as viewer, hub.jobs.watched(job_id, viewer) as topic:
        async with departure(receive, viewer) as gone:
            try:
                async with asyncio.timeout_at(until):
                    state = await hub.jobs.read(topic)
            except TimeoutError:
                return
            while state is not None and not (state.ended or gone.done() or hub.closing or topic.gone):
                if not await viewer.wait(max(until - loop.time(), 0)):
                    return
                state = topic.state
