"""The arguments of tasks: ids only. A worker reloads the row, so a message can be lost or doubled without harm."""

from typing import TypedDict


class JobPayload(TypedDict):
    """Of ``fetch_source`` and ``render_job``: a UUID in its canonical text form."""

    job_id: str


class ChunkPayload(TypedDict):
    """Of ``generate_chunk``: a UUID in its canonical text form."""

    chunk_id: str


class DeliveryPayload(TypedDict):
    """Of ``deliver_webhook``: a UUID in its canonical text form."""

    delivery_id: str


class MessagePayload(TypedDict):
    """Of ``send_message``: a UUID in its canonical text form."""

    message_id: str


class RequestPayload(TypedDict):
    """Of the dead letter of a task that somebody asked for: the id of its row, which has the arguments."""

    task_request_id: str


class ArchivePayload(TypedDict, total=False):
    """Of ``build_zip``: ids in their canonical text form, of a batch or a job; ``state``: the digest of the contents
    that it was asked for with.
    """

    batch_id: str | None
    job_id: str | None
    state: str | None
