"""Messages as people read them."""

import datetime
import json
import uuid
from dataclasses import asdict, replace
from typing import Any

import pytest

from pixmill_notifier.channels import Message
from pixmill_notifier.channels.rendering import Renderer
from pixmill_notifier.domain.digest import Figures, Growth, Slow, duration, size
from pixmill_shared.contract.alerts import MessageKind

RENDERER = Renderer("pixmill.example.com")
AT = datetime.datetime(2026, 3, 1, 7, tzinfo=datetime.UTC)
ENDINGS = ("subject.txt", "txt", "slack.txt", "html")
FIGURES = Figures(
    day="2026-02-28",
    zone="Europe/Berlin",
    submitted=1234,
    completed=1200,
    failed=30,
    canceled=4,
    reasons={"too_large": 29, "<script>": 1},
    p50=0.084,
    p95=3.21,
    slowest=[Slow("0193-slow", 125.0)],
    source_bytes=4_000_000,
    output_bytes=1_000_000,
    dead_letters={"a.task": 2},
    uploads=Growth(10, 812),
    renditions=Growth(20, 3_400_000_000),
    disk_percent=62.7,
)


def report(figures: Figures) -> Message:
    # Through JSON, as a row would bring it.
    return Message(uuid.uuid4(), MessageKind.REPORT, json.loads(json.dumps(asdict(figures))), AT)


def change(kind: str, subject: str = "api", detail: str = "api failed 2 checks in a row.") -> dict[str, Any]:
    ended = "2026-03-01T06:30:00+00:00" if kind == "ended" else None
    return {
        "change": kind,
        "rule": "service_down",
        "title": "A service is down",
        "subject": subject,
        "detail": detail,
        "value": 2.0,
        "started_at": "2026-03-01T05:00:00+00:00",
        "ended_at": ended,
    }


def alerts(*changes: dict[str, Any], more: int = 0) -> Message:
    return Message(uuid.uuid4(), MessageKind.ALERTS, {"changes": list(changes), "more": more}, AT)


@pytest.mark.parametrize("ending", ["txt", "slack.txt", "html"])
def test_report_tells_every_figure(ending: str) -> None:
    text = RENDERER.render(report(FIGURES), ending)
    for figure in ("2026-02-28", "1,234", "1,200", "30", "29", "84 ms", "3.2 s", "2 min 5 s", "0193-slow", "4.0 MB"):
        assert figure in text
    for figure in ("1.0 MB", "75 %", "812 B", "3.4 GB", "63 %", "pixmill.example.com"):
        assert figure in text


@pytest.mark.parametrize("ending", ENDINGS)
def test_report_of_a_day_without_work_can_be_read(ending: str) -> None:
    empty = replace(
        FIGURES,
        **dict.fromkeys(("submitted", "completed", "failed", "canceled", "source_bytes", "output_bytes"), 0),
        **dict.fromkeys(("p50", "p95", "disk_percent")),
        reasons={},
        slowest=[],
        dead_letters={},
        uploads=Growth(0, 0),
        renditions=Growth(0, 0),
    )
    text = RENDERER.render(report(empty), ending)
    assert "2026-02-28" in text
    assert "None" not in text


def test_figures_of_a_sample_are_said_to_be() -> None:
    for ending, words in (("txt", "(of a sample)"), ("slack.txt", "about 4.0 MB"), ("html", "sources, about")):
        assert words not in RENDERER.render(report(FIGURES), ending)
        assert words in RENDERER.render(report(replace(FIGURES, sampled=True)), ending)


def test_outputs_that_are_larger_than_their_sources_are_said_to_be() -> None:
    assert "(50 % larger)" in RENDERER.render(report(replace(FIGURES, output_bytes=6_000_000)), "txt")


@pytest.mark.parametrize(
    ("kind", "word"), [("started", "ALERT: A service"), ("reminder", "STILL: A service"), ("ended", "OVER: A service")]
)
def test_change_is_told_with_its_times(kind: str, word: str) -> None:
    text = RENDERER.render(alerts(change(kind)), "txt")
    assert f"{word} is down (api)" in text
    assert "2026-03-01 05:00 UTC" in text
    assert ("2026-03-01 06:30 UTC" in text) == (kind == "ended")


def test_all_changes_are_in_one_message_and_the_rest_is_counted() -> None:
    message = alerts(change("started"), change("ended", "worker"), more=7)
    for ending in ("txt", "slack.txt", "html"):
        text = RENDERER.render(message, ending)
        assert "api" in text
        assert "worker" in text
        assert "7 more" in text
    assert "9 alerts" in RENDERER.render(message, "subject.txt")


def test_subject_is_one_line_that_says_what_is_wrong_or_over() -> None:
    for kind, words in (("started", "A service is down (api)"), ("ended", "Over: A service is down (api)")):
        assert RENDERER.render(alerts(change(kind)), "subject.txt").strip() == f"[pixmill] {words}"


def test_what_came_from_outside_is_no_markup() -> None:
    message = alerts(change("started", "<img src=x>&", "<!channel> \"quoted\" & 'more'"))
    html, slack = RENDERER.render(message, "html"), RENDERER.render(message, "slack.txt")
    assert "<img" not in html
    assert "&lt;img src=x&gt;&amp;" in html
    assert "<" not in slack
    assert "&lt;!channel&gt; \"quoted\" &amp; 'more'" in slack
    assert "<script>" not in RENDERER.render(report(FIGURES), "html")


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e9, "2.5 GB"), (3e15, "3,000.0 TB")]
)
def test_bytes_are_written_for_people(count: float, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "–"), (0.0852, "85 ms"), (3.21, "3.2 s"), (125, "2 min 5 s"), (7_500, "2 h 5 min")]
)
def test_durations_are_written_for_people(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words
