"""Due work goes to this process' own lanes, as much as they have places for."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from pixmill_api.inline.lanes import Lane
from pixmill_shared.dispatcher.kinds import Kind
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.repositories.work import Due
from pixmill_shared.settings.work import WorkSettings


class LocalOutlet:
    """``largest``: bytes that work may read to be done here, None for any. ``settings`` are the dispatcher's."""

    def __init__(self, lanes: Sequence[Lane], settings: WorkSettings, largest: int | None) -> None:
        self.errors: tuple[type[BaseException], ...] = ()
        self._lanes = lanes
        self._settings = settings
        self._largest = largest
        self._lane_of = {queue.value: lane for lane in lanes for queue in lane.queues}

    def take(self, session: Session, kind: Kind) -> list[Due]:
        """What it takes is not known to be too large, and has a place."""
        taken: list[Due] = []
        for lane in self._lanes:
            places = lane.free()
            if places and (queues := lane.order(kind.queues)):
                taken += kind.work.take_now(
                    *(session, queues, places, self._settings.window, self._largest, kind.most(self._settings))
                )
        return taken

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._lane_of[message.queue].submit(message)

    def disconnect(self) -> None:
        """Nothing is open."""
