"""The tables. All times are timezone-aware UTC; ids are UUIDv7, minted by the application."""

from pixmill_shared.database.models.base import Base
from pixmill_shared.database.models.pictures import JobUpload, Output, Rendition, RenditionReservation, Upload
from pixmill_shared.database.models.records import ApiKey, DeadLetter, IdempotencyRecord, JobEvent, ServiceHealth
from pixmill_shared.database.models.work import Delivery, DeliveryAttempt, DispatchQueue, Job, Lane, WorkColumns

__all__ = [
    "ApiKey",
    "Base",
    "DeadLetter",
    "Delivery",
    "DeliveryAttempt",
    "DispatchQueue",
    "IdempotencyRecord",
    "Job",
    "JobEvent",
    "JobUpload",
    "Lane",
    "Output",
    "Rendition",
    "RenditionReservation",
    "ServiceHealth",
    "Upload",
    "WorkColumns",
]
