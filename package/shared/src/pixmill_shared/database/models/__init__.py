"""The tables. All times are timezone-aware UTC; ids are UUIDv7, minted by the application."""

from pixmill_shared.database.models.base import Base
from pixmill_shared.database.models.pictures import JobUpload, Output, Rendition, RenditionReservation, Upload
from pixmill_shared.database.models.records import ApiKey, DeadLetter, IdempotencyRecord, JobEvent, ServiceHealth
from pixmill_shared.database.models.work import Delivery, DeliveryAttempt, DispatchMark, Job, WorkColumns

__all__ = [
    "ApiKey",
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
    "Rendition",
    "RenditionReservation",
    "ServiceHealth",
    "Upload",
    "WorkColumns",
]
