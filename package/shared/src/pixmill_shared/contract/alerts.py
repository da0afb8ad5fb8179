"""What the people who run pixmill are told: rules, changes of an alert, kinds of messages. In rows; never renamed."""

from enum import StrEnum
from typing import Final


class AlertRule(StrEnum):
    SERVICE_DOWN = "service_down"
    QUEUE_STALLED = "queue_stalled"
    DEAD_LETTERS = "dead_letters"
    FAILURE_RATE = "failure_rate"
    DISK_FULL = "disk_full"
    BACKUP_MISSED = "backup_missed"
    DELIVERIES_EXHAUSTED = "deliveries_exhausted"
    ENDPOINT_DISABLED = "endpoint_disabled"
    OBJECTS_MISSING = "objects_missing"
    PIPELINE_FAILING = "pipeline_failing"


ALERT_TITLES: Final[dict[AlertRule, str]] = {
    AlertRule.SERVICE_DOWN: "A service is down",
    AlertRule.QUEUE_STALLED: "Work waits too long",
    AlertRule.DEAD_LETTERS: "Work gave up",
    AlertRule.FAILURE_RATE: "Many jobs fail",
    AlertRule.DISK_FULL: "The disk is filling up",
    AlertRule.BACKUP_MISSED: "There is no fresh backup",
    AlertRule.DELIVERIES_EXHAUSTED: "Webhooks do not arrive",
    AlertRule.ENDPOINT_DISABLED: "A webhook endpoint was disabled",
    AlertRule.OBJECTS_MISSING: "Objects are missing in the storage",
    AlertRule.PIPELINE_FAILING: "A pipeline cannot read its source",
}

#: Raised where it happens, with ``raise_alert``; the others are measured every minute.
RAISED_RULES: Final = (
    *(AlertRule.DELIVERIES_EXHAUSTED, AlertRule.ENDPOINT_DISABLED, AlertRule.PIPELINE_FAILING),
    AlertRule.OBJECTS_MISSING,
)


class AlertState(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class AlertChange(StrEnum):
    """What a message tells of an alert."""

    STARTED = "started"
    REMINDER = "reminder"
    ENDED = "ended"


class MessageKind(StrEnum):
    """Also the ``type`` of what the webhook channel sends."""

    ALERTS = "alerts.changed"
    REPORT = "report.daily"
