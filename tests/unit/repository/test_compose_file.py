"""docker-compose.yml against the contract and the settings classes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.containers.compose import MissingVariableError, interpolate
from tests.integration.containers.dockerfile import read_dockerfile
from tools.env_example import settings_classes, variable, variables

from pixmill_api.__main__ import USED
from pixmill_api.settings import ApiSettings, BatchSettings, GenerationLimitSettings, LimitSettings, UploadSettings
from pixmill_api.settings.cors import CorsSettings
from pixmill_api.settings.inline import InlineSettings
from pixmill_api.settings.streams import StreamSettings
from pixmill_imaging.settings import GenerationSettings, ImagingSettings, IngestSettings
from pixmill_notifier.settings import AlertSettings, ChannelSettings, DeliverySettings
from pixmill_shared.contract.queues import WORKER_QUEUES
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.archives import ArchiveSettings
from pixmill_shared.settings.backup import BackupSettings
from pixmill_shared.settings.base import RuntimeSettings, Settings
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.flower import FlowerSettings
from pixmill_shared.settings.generation import ChunkSettings, PaceSettings
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.places import DestinationSettings, SourceSettings
from pixmill_shared.settings.probing import ProbeSettings
from pixmill_shared.settings.process import ListenSettings, LogSettings, PublicSettings
from pixmill_shared.settings.redis import RedisSettings
from pixmill_shared.settings.retention import RetentionSettings
from pixmill_shared.settings.scaling import ScalingSettings
from pixmill_shared.settings.schedule import ScheduleSettings
from pixmill_shared.settings.secrets import RotationSettings, SecretSettings, WebhookSecretSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.settings.work import ConcurrencySettings, ShutdownSettings, TaskLimitSettings, WorkSettings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]

_CELERY = (RuntimeSettings, LogSettings, BrokerSettings, TaskLimitSettings)
# Renderers decode hostile bytes: they sign no URL, and have no key to lose.
_SIGNED = (StorageSettings, SecretSettings, PublicSettings)
_DISPATCHING = (*_CELERY, DatabaseSettings, WorkSettings)
_CLAIMING = (*_DISPATCHING, ShutdownSettings)

#: What each process reads. Whoever lets a process load another class adds it here and in docker-compose.yml.
READS: Mapping[str, tuple[type[Settings] | str, ...]] = {
    "migrate": (RuntimeSettings, "PIXMILL_MIGRATE_DATABASE_URL"),
    "api": (
        *(RuntimeSettings, LogSettings, BrokerSettings, DatabaseSettings, *_SIGNED, ApiSettings),
        *(LimitSettings, RedisSettings, RotationSettings, UploadSettings, BatchSettings, InlineSettings),
        *(GenerationLimitSettings, ChunkSettings, PaceSettings, WorkSettings),
        CorsSettings,
        ArchiveSettings,
        StreamSettings,
        AdmissionSettings,
        *(DestinationSettings, SourceSettings, ScheduleSettings),
        *("PIXMILL_MAX_SOURCE_BYTES", "PIXMILL_EGRESS_ALLOW"),
    ),
    "dispatcher": _DISPATCHING,
    "imaging": (
        *_CLAIMING,
        RedisSettings,
        StorageSettings,
        DestinationSettings,
        ImagingSettings,
        ScalingSettings,
        "PIXMILL_IMAGING_CONCURRENCY",
    ),
    "imaging-io": (
        *_CLAIMING,
        RedisSettings,
        StorageSettings,
        *(DestinationSettings, SourceSettings),
        EgressSettings,
        *(AdmissionSettings, IngestSettings, ImagingSettings, GenerationSettings, PaceSettings),
        "PIXMILL_IMAGING_IO_CONCURRENCY",
    ),
    "notifier": (
        *(*_CLAIMING, *_SIGNED, EgressSettings, WebhookSecretSettings, AlertSettings, ChannelSettings),
        DeliverySettings,
        "PIXMILL_NOTIFIER_CONCURRENCY",
    ),
    "worker": (
        *(*_CLAIMING, StorageSettings, MaintenanceSettings, ArchiveSettings, ProbeSettings),
        *(RetentionSettings, BackupSettings),
        "PIXMILL_WORKER_CONCURRENCY",
    ),
    "beat": (*_CELERY, DatabaseSettings, ScheduleSettings),
    "flower": (RuntimeSettings, BrokerSettings, TaskLimitSettings, FlowerSettings),
}
PORTS = {
    "api": 8000,
    "imaging": 8001,
    "notifier": 8002,
    "imaging-io": 8003,
    "worker": 8004,
    "beat": 8005,
    "dispatcher": 8006,
    "flower": 5555,
}
_SET_BY_IMAGES = variables(ListenSettings)


def command(name: str) -> str:
    """Of the service, or of its image."""
    service = SERVICES[name]
    if "command" in service:
        return " ".join(service["command"])
    return " ".join(read_dockerfile(ROOT / service["build"]["dockerfile"])[-1].one("CMD").words())


@pytest.mark.parametrize("name", READS)
def test_service_gets_the_variables_that_its_process_reads_and_no_others(name: str) -> None:
    read = {entry for item in READS[name] for entry in ({item} if isinstance(item, str) else variables(item))}
    given = set(SERVICES[name]["environment"]) - _SET_BY_IMAGES
    assert sorted(given - read) == [], f"{name} does not read these: take them out of docker-compose.yml"
    assert sorted(read - given) == [], f"{name} reads these: pass them on in docker-compose.yml"


def test_all_processes_of_pixmill_are_in_the_table() -> None:
    assert set(READS) == set(SERVICES) - {"postgres", "redis"}


def test_what_the_api_checks_at_its_start_is_what_the_table_says() -> None:
    listed = {item for item in READS["api"] if not isinstance(item, str)}
    # Of the egress settings it reads two, by name in the table.
    assert listed | {ListenSettings, EgressSettings} == set(USED) | {RuntimeSettings}


def test_blocks_of_variables_are_the_settings_classes() -> None:
    by_block = {
        "x-" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__.removesuffix("Settings")).lower(): variables(cls)
        for cls in settings_classes()
    }
    blocks = {
        name: set(value)
        for name, value in COMPOSE.items()
        if name.startswith("x-") and isinstance(value, dict) and all(key.isupper() for key in value)
    }
    assert blocks
    wrong = {name: by_block.get(name, set()) ^ found for name, found in blocks.items() if by_block.get(name) != found}
    assert wrong == {}, "a block lists the variables of the settings class that it is named after"


def test_secrets_reach_only_those_that_need_them() -> None:
    holders = {
        secret: {name for name, service in SERVICES.items() if secret in service.get("environment", {})}
        for secret in (
            *("FLOWER_PASSWORD", "PIXMILL_WEBHOOK_SECRET", "PIXMILL_MIGRATE_DATABASE_URL", "PIXMILL_SMTP_URL"),
            "GEMINI_API_KEY",
        )
    }
    assert holders == {
        "FLOWER_PASSWORD": {"flower"},
        "PIXMILL_WEBHOOK_SECRET": {"notifier"},
        "PIXMILL_MIGRATE_DATABASE_URL": {"migrate"},
        "PIXMILL_SMTP_URL": {"notifier"},
        "GEMINI_API_KEY": {"imaging-io"},
    }


@pytest.mark.parametrize("name", WORKER_QUEUES)
def test_worker_consumes_the_queues_of_the_contract(name: str) -> None:
    found = re.search(r"-Q (\S+)", command(name))
    assert found, command(name)
    expected = ",".join(queue.value for queue in WORKER_QUEUES[name])
    assert found[1] == expected, "write -Q as in pixmill_shared.contract.queues.WORKER_QUEUES"
    assert f"-n {name}@%h" in command(name)


def test_no_other_service_consumes_a_queue() -> None:
    assert {name for name in READS if " worker " in command(name)} == set(WORKER_QUEUES)


@pytest.mark.parametrize("name", WORKER_QUEUES)
def test_worker_runs_as_many_tasks_as_its_setting_says(name: str) -> None:
    field = name.replace("-", "_")
    default = ConcurrencySettings.model_fields[field].default
    assert f"${{{variable(ConcurrencySettings, field)}:-{default}}}" in command(name).replace("$$", "$")


@pytest.mark.parametrize("name", PORTS)
def test_service_listens_on_the_port_of_the_table(name: str) -> None:
    service = SERVICES[name]
    image = read_dockerfile(ROOT / service["build"]["dockerfile"])[-1]
    assert str(service["environment"].get("PIXMILL_PORT", image.environment["PIXMILL_PORT"])) == str(PORTS[name])


def test_health_checks_ask_every_process_of_the_table_where_it_listens() -> None:
    told = interpolate(SERVICES["worker"]["environment"]["PIXMILL_SERVICES"], {})
    paths = dict.fromkeys(PORTS, "/health/ready") | {"flower": "/healthcheck"}
    expected = {name: f"http://{name}:{port}{paths[name]}" for name, port in PORTS.items()}
    assert ProbeSettings(services=told).urls == expected
    here = {name: url.replace(f"//{name}:", "//127.0.0.1:") for name, url in expected.items()}
    assert ProbeSettings.model_validate({}).urls == here


def test_only_api_and_flower_are_published() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api", "flower"}
    assert {name for name, service in SERVICES.items() if "edge" in service["networks"]} == published


def test_only_those_that_fetch_or_deliver_have_a_way_out() -> None:
    assert COMPOSE["networks"]["backend"]["internal"] is True
    assert all("backend" in service["networks"] for service in SERVICES.values())
    out = {name for name, service in SERVICES.items() if "egress" in service["networks"]}
    assert out == {"imaging-io", "notifier"}


def test_services_wait_for_what_they_need_and_come_back_after_a_crash() -> None:
    for name, service in SERVICES.items():
        conditions = {entry["condition"] for entry in service.get("depends_on", {}).values()}
        assert conditions <= {"service_healthy", "service_completed_successfully"}, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert "stop_grace_period" in service, name
    for name in PORTS:
        assert SERVICES[name]["depends_on"], name
        if {DatabaseSettings} & set(READS[name]):
            assert "migrate" in SERVICES[name]["depends_on"], name


def test_compose_stops_with_a_sentence_where_a_secret_is_not_set() -> None:
    with pytest.raises(MissingVariableError, match=r"set DB_PASSWORD in \.env"):
        interpolate("${DB_PASSWORD:?set DB_PASSWORD in .env}", {"DB_PASSWORD": ""})
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert asked == {
        *("DB_PASSWORD", "FLOWER_PASSWORD", "FLOWER_USER", "PIXMILL_SECRET_KEY", "PIXMILL_WEBHOOK_SECRET"),
        *("POSTGRES_MIGRATE_PASSWORD", "REDIS_PASSWORD"),
    }
