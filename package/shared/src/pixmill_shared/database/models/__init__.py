"""The tables. All times are timezone-aware UTC; ids are UUIDv7, minted by the application."""

from pixmill_shared.database.models.base import Base
from pixmill_shared.database.models.crew import BeatRun, ScheduleWish, TaskRecord, Worker
from pixmill_shared.database.models.generation import Generation, GenerationChunk, GenerationItem, ProviderMeter
from pixmill_shared.database.models.operations import Alert, AlertMessage, Backup, QueueSample, Report
from pixmill_shared.database.models.pictures import (
    JobUpload,
    Output,
    Rendition,
    RenditionReservation,
    Upload,
    UploadPart,
    UploadSession,
)
from pixmill_shared.database.models.pipelines import Pipeline, PipelineItem, PipelineRun
from pixmill_shared.database.models.records import (
    ApiKey,
    AuditRecord,
    DeadLetter,
    IdempotencyRecord,
    JobEvent,
    Preset,
    ServiceHealth,
)
from pixmill_shared.database.models.webhooks import Delivery, DeliveryAttempt, Endpoint, EndpointSecret, Receiver
from pixmill_shared.database.models.work import Batch, DispatchMark, Job, TaskRequest, WorkColumns

__all__ = [
    "Alert",
    "AlertMessage",
    "ApiKey",
    "AuditRecord",
    "Backup",
    "Base",
    "Batch",
    "BeatRun",
    "DeadLetter",
    "Delivery",
    "DeliveryAttempt",
    "DispatchMark",
    "Endpoint",
    "EndpointSecret",
    "Generation",
    "GenerationChunk",
    "GenerationItem",
    "IdempotencyRecord",
    "Job",
    "JobEvent",
    "JobUpload",
    "Output",
    "Pipeline",
    "PipelineItem",
    "PipelineRun",
    "Preset",
    "ProviderMeter",
    "QueueSample",
    "Receiver",
    "Rendition",
    "RenditionReservation",
    "Report",
    "ScheduleWish",
    "ServiceHealth",
    "TaskRecord",
    "TaskRequest",
    "Upload",
    "UploadPart",
    "UploadSession",
    "WorkColumns",
    "Worker",
]
