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

    job = f"job_id={answer.json()['job_id']}"
    wanted = (
        ("request", "method=POST", "route=/api/v1/process", "status=202", "project=default", "bytes_in=", "ms="),
        ("stage done", "stage=fetch", job),
        ("stage done", "stage=render", job),
        ("webhook tried", "status=204", "delivery_id="),
    )

    def told() -> list[list[str]] | None:
        """By each of the four, which writes when the next one works already: any of them may be the last."""
        lines = lines_with(pixmill, request_id)
        found = [[line for line in lines if all(part in line for part in parts)] for parts in wanted]
        return found if all(found) else None

    found = eventually(told, 60)
    assert [len(lines) for lines in found] == [1] * len(wanted), found
    lines = lines_with(pixmill, request_id)
    assert len({line.partition("|")[0].strip() for line in lines}) == 4
    assert "pxm_secret" not in pixmill.log.getvalue()


def test_query_of_a_request_is_in_no_line(pixmill: Pixmill) -> None:
    answer = pixmill.http.get("/api/v1/jobs", params={"limit": "7"}, headers={"X-Request-ID": "no-query.1"})
    assert answer.status_code == 200
    [line] = eventually(lambda: lines_with(pixmill, "no-query.1"), 60)
    assert "limit" not in line
    assert "route=/api/v1/jobs" in line
