"""The tables. All times are timezone-aware UTC; ids are UUIDv7, minted by the application."""

from pixmill_shared.database.models.base import Base
from pixmill_shared.database.models.operations import Alert, AlertMessage, Backup, QueueSample, Report
from pixmill_shared.database.models.pictures import JobUpload, Output, Rendition, RenditionReservation, Upload
from pixmill_shared.database.models.records import ApiKey, DeadLetter, IdempotencyRecord, JobEvent, ServiceHealth
from pixmill_shared.database.models.work import Delivery, DeliveryAttempt, DispatchMark, Job, WorkColumns

__all__ = [
    "Alert",
    "AlertMessage",
    "ApiKey",
    "Backup",
    "Base",
    "DeadLetter",
    "Delivery",
    "DeliveryAttempt",
    "DispatchMark",
    "IdempotencyRecord",
    "Job",
    "JobEvent",
    "JobUpload",
    "Output",
    "QueueSample",
    "Rendition",
    "RenditionReservation",
    "Report",
    "ServiceHealth",
    "Upload",
    "WorkColumns",
]
