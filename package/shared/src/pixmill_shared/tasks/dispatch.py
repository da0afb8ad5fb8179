"""The dispatcher's work without its loop."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.runtime import runtime


@app.task(name=TaskName.RECOVER_STALLED.value)
def recover_stalled() -> dict[str, int]:
    """Lost messages, silent workers and what is due, of every kind of work: all of it goes on, slower, while no
    dispatcher runs.
    """
    from pixmill_shared.dispatcher.once import pass_once

    return pass_once(runtime(), app)
