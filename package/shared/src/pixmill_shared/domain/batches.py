"""Batches: how they stand, and how they ended."""

from enum import StrEnum


class BatchStatus(StrEnum):
    """Until its last job has ended a batch is in ``processing``."""

    PROCESSING = "processing"
    #: All items.
    COMPLETED = "completed"
    #: Some items; others failed, were canceled, or were rejected.
    PARTIALLY_COMPLETED = "partially_completed"
    #: None, and not only because they were canceled.
    FAILED = "failed"
    #: None: each job was canceled.
    CANCELED = "canceled"
