"""What must be so of jobs that generate once nobody works on them, whatever happened before: as sentences, if not."""

from collections.abc import Iterator

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.events import EventType
from tests.integration.imaging.studio import Easel

EXPECTED = (ErrorCode.PROVIDER_REFUSED, ErrorCode.PROVIDER_UNAVAILABLE, ErrorCode.ATTEMPTS_EXHAUSTED)
"""Why a job may have failed."""

_JOBS = "generations g JOIN jobs j ON j.id = g.job_id"
_ENDS = ", ".join(f"'{each}'" for each in (EventType.JOB_COMPLETED, EventType.JOB_FAILED, EventType.JOB_CANCELED))


def _items(which: str) -> str:
    return f"(SELECT count(*) FROM generation_items i WHERE i.job_id = j.id AND {which})"


def _chunks(which: str) -> str:
    return f"(SELECT count(*) FROM generation_chunks c WHERE c.job_id = j.id AND {which})"


def _events(which: str) -> str:
    return f"(SELECT count(*) FROM job_events e WHERE e.job_id = j.id AND {which})"


_OUTPUTS = "(SELECT count(*) FROM outputs o WHERE o.job_id = j.id)"

#: A sentence about so many, and what there is to be none of.
_NONE_OF = {
    "jobs have not ended": f"{_JOBS} WHERE j.finished_at IS NULL",
    "chunks are open though their job has ended": """generation_chunks c JOIN jobs j ON j.id = c.job_id
        WHERE j.finished_at IS NOT NULL AND c.status NOT IN ('completed', 'canceled')""",
    "jobs count other items than they have": f"""{_JOBS}
        WHERE (g.total_items, g.finished_items, g.real_items)
           <> ({_items("true")}, {_items("i.finished_at IS NOT NULL")}, {_items("i.success")})""",
    "jobs count other chunks than they have": f"""{_JOBS}
        WHERE (g.total_chunks, g.finished_chunks) <> ({_chunks("true")}, {_chunks("c.status = 'completed'")})""",
    "jobs tell of other items or chunks than they have, or not of their end": f"""{_JOBS}
        WHERE ({_events(f"e.type = '{EventType.JOB_OUTPUT}'")}, {_events(f"e.type = '{EventType.JOB_PROGRESS}'")},
               {_events(f"e.type IN ({_ENDS})")})
           <> (g.finished_items, g.finished_chunks, CASE WHEN j.finished_at IS NULL THEN 0 ELSE 1 END)""",
    "jobs number their events otherwise than one by one": f"""{_JOBS}
        WHERE j.sequence <> {_events("true")} OR j.sequence <> {_events("e.sequence BETWEEN 1 AND j.sequence")}""",
    "jobs are completed though parts of them are not": f"""{_JOBS} WHERE j.status = 'completed'
          AND (g.finished_items <> g.total_items OR g.finished_chunks <> g.total_chunks OR j.progress <> 100)""",
    "jobs have other outputs than their items": f"""{_JOBS}
        WHERE {_OUTPUTS} <> (SELECT sum(cardinality(i.outputs)) FROM generation_items i WHERE i.job_id = j.id)""",
    "items name outputs that are not there": """generation_items i, unnest(i.outputs) AS named
        WHERE NOT EXISTS (SELECT FROM outputs o WHERE o.job_id = i.job_id AND o.name = named)""",
    "items have a part of what their recipe wants": """generation_items i JOIN jobs j ON j.id = i.job_id
        WHERE cardinality(i.outputs) <>
          CASE WHEN i.provider IS NULL THEN 0 ELSE jsonb_array_length(j.recipe -> 'outputs') END""",
    "items have outputs of two pictures": """(
          SELECT FROM generation_items i JOIN outputs o ON o.job_id = i.job_id AND o.name = ANY(i.outputs)
          JOIN renditions r ON r.id = o.rendition_id
          GROUP BY i.job_id, i.position HAVING count(DISTINCT r.source_facts ->> 'sha256') > 1) AS mixed""",
    "jobs failed for another reason than the provider and silent workers": f"""jobs
        WHERE status = 'failed' AND error ->> 'code' NOT IN ({", ".join(f"'{code}'" for code in EXPECTED)})""",
}


def judged(easel: Easel) -> Iterator[str]:
    """A sentence for everything that is wrong with the rows and objects of ``easel``."""
    for sentence, what in _NONE_OF.items():
        if count := easel.scalar(f"SELECT count(*) FROM {what}"):
            yield f"{count} {sentence}"
    named = set(easel.scalar("SELECT coalesce(array_agg(storage_key), '{}') FROM renditions"))
    there = {info.key for info in easel.store.list("renditions/")}
    if lost := len(named - there):
        yield f"{lost} renditions have no object"
    if left := len(there - named):
        yield f"{left} objects have no rendition"
