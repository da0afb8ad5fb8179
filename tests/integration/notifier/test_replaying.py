"""Dead letters of the notifier, sent again: of deliveries whose endpoint is disabled, and of messages to channels."""

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from tests.integration.egress.servers import Handler, Server
from tests.integration.notifier.couriers import answering, endpoint, finished_job, in_turn, letters, make_due, row_of

from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.contract.alerts import MessageKind
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import AlertMessage
from pixmill_shared.domain.backoff import WEBHOOK_SCHEDULE
from pixmill_shared.domain.ids import new_id
from pixmill_shared.errors import AlreadyReplayed, NotReplayable
from pixmill_shared.repositories import alert_messages, dead_letters
from pixmill_shared.repositories.dead_letters import Letters, RefusedItem
from pixmill_shared.service.exhaustion import give_up_message
from pixmill_shared.service.replay import replay, replay_many

BODY = {"changes": [], "more": 1}


def given_up_message(database: Database) -> uuid.UUID:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE alert_messages"))
        alert_messages.enqueue(session, ["slack"], MessageKind.ALERTS, BODY)
        message_id = session.scalars(select(AlertMessage.id)).one()
    with database.session_scope() as session:
        claimed = alert_messages.claim(session, message_id, "w", 60)
    assert claimed is not None
    with database.session_scope() as session:
        give_up_message(session, message_id, claimed.fence)
    return message_id


def test_letter_of_a_disabled_endpoint_is_kept_until_the_endpoint_is_enabled(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    made = endpoint(database, receive(in_turn(answering("500 Oops"), answering("200 OK"))).url())
    _, delivery_id = finished_job(database, None)
    make_due(database, delivery_id, attempts=len(WEBHOOK_SCHEDULE))
    deliver(delivery_id, courier)
    (letter,) = letters(database)
    switch = text("UPDATE endpoints SET disabled_at = CASE WHEN :off THEN now() END WHERE id = :id")
    with database.session_scope() as session:
        session.execute(switch, {"off": True, "id": made})
    with database.session_scope() as session, pytest.raises(NotReplayable, match="The endpoint is disabled"):
        replay(session, letter.id, None, by="me")
    assert replay_many(database, Letters(task=TaskName.DELIVER_WEBHOOK), by="me").made == ()
    assert letters(database)[0].replayed_at is None
    with database.session_scope() as session:
        session.execute(switch, {"off": False, "id": made})
    (again,) = replay_many(database, Letters(task=TaskName.DELIVER_WEBHOOK), by="me").made
    deliver(again.id, courier)
    assert row_of(database, again.id).status == "completed"


@pytest.mark.parametrize("many", [False, True])
def test_message_that_was_given_up_is_sent_again_once(database: Database, many: bool) -> None:
    message_id = given_up_message(database)
    (letter,) = letters(database)
    if many:
        (made,) = replay_many(database, Letters(task=TaskName.SEND_MESSAGE), by="me").made
    else:
        with database.session_scope() as session:
            found = replay(session, letter.id, None, by="me")
        assert found is not None
        made = found
    assert made.kind == "message"
    with database.session_scope() as session:
        old, new = session.get_one(AlertMessage, message_id), session.get_one(AlertMessage, made.id)
        assert (old.status, new.status, new.attempts, new.run_at) == ("failed", "queued", 0, None)
        assert (new.channel, new.kind, new.body, new.queue) == ("slack", MessageKind.ALERTS, BODY, old.queue)
    with database.session_scope() as session, pytest.raises(AlreadyReplayed, match=f"as message {made.id}, by me"):
        replay(session, letter.id, None, by="me")
    assert replay_many(database, Letters(task=TaskName.SEND_MESSAGE), by="me").made == ()


def test_letter_of_a_message_whose_row_is_gone_or_that_came_from_the_broker_is_refused(database: Database) -> None:
    given_up_message(database)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE alert_messages"))
        refused = RefusedItem(new_id(), TaskName.SEND_MESSAGE, {"args": []}, {"code": "invalid_task", "detail": ""})
        dead_letters.keep_refused(session, refused)
    sentences = []
    for letter in sorted(letters(database), key=lambda each: each.id):
        with database.session_scope() as session, pytest.raises(NotReplayable) as error:
            replay(session, letter.id, None, by="me")
        sentences.append(str(error.value).partition(".")[0])
    assert sentences == ["The message that it tells of was deleted", "It came from the broker and tells of no row"]
    assert replay_many(database, Letters(), by="me").made == ()


@pytest.mark.parametrize(("task", "hint"), [(TaskName.DELIVER_PENDING, False), (TaskName.EVALUATE_ALERTS, True)])
def test_letter_of_a_task_of_the_schedule_says_so_and_how_to_start_it_if_anybody_may(
    database: Database, task: TaskName, hint: bool
) -> None:
    with database.session_scope() as session:
        dead_letters.bury_run(session, task=task, payload={"entry": "of-the-schedule"}, error={}, attempts=1)
    (letter,) = letters(database)
    with database.session_scope() as session, pytest.raises(NotReplayable, match="task of the schedule") as refused:
        replay(session, letter.id, None, by="me")
    assert ("/api/v1/tasks/evaluate" in str(refused.value)) is hint
