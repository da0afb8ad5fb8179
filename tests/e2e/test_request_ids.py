"""One X-Request-ID, followed from the request through the row and the lines of every process that worked for it."""

from tests.e2e.conftest import Pixmill
from tests.waiting import eventually

from pixmill_imaging.testing.pictures import jpeg, photo


def lines_with(pixmill: Pixmill, request_id: str) -> list[str]:
    return [line for line in pixmill.log.getvalue().splitlines() if f"request_id={request_id}" in line]


def test_id_of_a_request_is_in_the_lines_of_api_fetch_render_and_notifier(pixmill: Pixmill) -> None:
    request_id = "follow-me.17"
    picture = pixmill.neighbour.serve("followed.jpg", jpeg(photo(300, 200, seed=61)))
    body = {"image_url": picture, "width": 80, "webhook_url": pixmill.neighbour.hook_url}
    answer = pixmill.http.post(
        "/api/v1/process", json=body, headers={"X-Request-ID": request_id, "Authorization": "Bearer pxm_secret"}
    )
    assert answer.headers["X-Request-ID"] == request_id
    assert pixmill.finished(answer.json())["status"] == "completed"

    def told() -> list[str] | None:
        lines = lines_with(pixmill, request_id)
        return lines if any("webhook tried" in line for line in lines) else None

    lines = eventually(told, 60)
    for phrase, fields in (
        ("request", ("method=POST", "route=/api/v1/process", "status=202", "project=default", "bytes_in=", "ms=")),
        ("stage done", ("stage=fetch", f"job_id={answer.json()['job_id']}")),
        ("stage done", ("stage=render", f"job_id={answer.json()['job_id']}")),
        ("webhook tried", ("status=204", "delivery_id=")),
    ):
        found = [line for line in lines if phrase in line and all(field in line for field in fields)]
        assert len(found) == 1, (phrase, fields, lines)
    assert len({line.partition("|")[0].strip() for line in lines}) == 4
    assert "pxm_secret" not in pixmill.log.getvalue()


def test_query_of_a_request_is_in_no_line(pixmill: Pixmill) -> None:
    answer = pixmill.http.get("/api/v1/jobs", params={"limit": "7"}, headers={"X-Request-ID": "no-query.1"})
    assert answer.status_code == 200
    [line] = eventually(lambda: lines_with(pixmill, "no-query.1"), 60)
    assert "limit" not in line
    assert "route=/api/v1/jobs" in line
