"""Every GET asked, every statement explained, and what is wrong with any."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from pixmill_api.app import create_app
from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer
from tests.plans.asking import REFUSED, Question, ask, questions, recording
from tests.plans.explaining import Explainer, Plan
from tests.plans.filling import BIG, PROJECTS, STORAGE_KEY, ids

MOST_ROWS: Final = 6_000
"""Rows of a table that a statement may look at. A page has 200; of every twentieth row, reading the others too is
cheaper than an index that is in another order than the rows.
"""
MOST_PAGES: Final = 4_000
"""An index of a million rows has more."""
#: Operations whose statements may look at more, and why.
MORE_ROWS: Final[Mapping[str, int]] = {
    # Counts up to 10,000 of each of five statuses, and 1,000 jobs with their outputs.
    "/api/v1/stats": 55_000,
    # Counts up to 1,000 in each state of twelve queues.
    "/api/v1/queues": 30_000,
}


METADATA: Final = "?metadata."
"""A filter of whose values Postgres knows no shares: it may take all index entries of one, but not the rows."""


@dataclass
class Report:
    """``plans`` by operation."""

    plans: dict[str, list[Plan]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def judge(self, question: Question, plan: Plan, most_pages: int) -> None:
        most = MORE_ROWS.get(question.path, MOST_ROWS)
        self.plans.setdefault(question.path, []).append(plan)
        for table in sorted(plan.scanned & BIG):
            self._blame(question, plan, f"reads the whole of {table}")
        for table, rows in sorted(plan.looked_at.items()):
            if table in BIG and rows > most and METADATA not in question.target:
                self._blame(question, plan, f"looks at {rows} rows of {table}")
        if plan.pages > max(most_pages, 2 * most if question.path in MORE_ROWS else 0):
            self._blame(question, plan, f"reads {plan.pages} pages")

    def _blame(self, question: Question, plan: Plan, sentence: str) -> None:
        self.wrong.append(f"GET {question.target} {sentence}: {' '.join(plan.statement.split())[:600]}")


def judged(url: str, storage: Path, rows: int) -> Report:
    """Of a database that ``fill`` has filled. The environment names it, and ``storage``, for the application."""
    known = ids(url, rows)
    (storage / STORAGE_KEY).parent.mkdir(parents=True, exist_ok=True)
    (storage / STORAGE_KEY).write_bytes(b"hello")
    report, explainer = Report(), Explainer(url)
    try:
        with recording() as sent:
            app = create_app()
            asked = asyncio.run(_asked(app, list(questions(app.openapi(), known)), _tokens(url), sent, report))
        seen: dict[str, set[str]] = defaultdict(set)
        for question, statements in asked:
            for plan in explainer.plans(statements, seen[question.path]):
                report.judge(question, plan, MOST_PAGES)
            seen[question.path] |= set(statements)
    finally:
        explainer.close()
    return report


def _tokens(url: str) -> dict[str, str]:
    """A key of each project that is asked for."""
    database = Database(url)
    try:
        with database.session_scope() as session:
            sealer = Sealer(["x" * 32])
            return {project: create_key(session, sealer, project=project, name="plans").token for project in PROJECTS}
    finally:
        database.dispose()


async def _asked(
    app: FastAPI, all_questions: list[Question], tokens: Mapping[str, str], sent: list[str], report: Report
) -> list[tuple[Question, list[str]]]:
    found = []
    async with app.router.lifespan_context(app):
        for project, question in itertools.product(PROJECTS, all_questions):
            if project != PROJECTS[0] and "{" in question.path:
                continue  # the rows that paths name are the first one's
            before = len(sent)
            status = await ask(app, question.target, tokens[project])
            if status >= 400 and status != REFUSED.get(question.path):
                report.wrong.append(f"GET {question.target} is answered {status}")
            found.append((question, sent[before:]))
        await app.state.hub.close()
    return found
