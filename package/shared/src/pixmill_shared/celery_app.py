"""The one Celery app: ``celery -A pixmill_shared.celery_app worker``. Importing it needs no variable, no server.

Each service's ``celery_app.py`` re-exports it and says which queues its workers take when ``-Q`` does not.
"""

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.plumbing import processes
from pixmill_shared.plumbing.app import PixmillCelery, PixmillTask
from pixmill_shared.plumbing.config import celery_config
from pixmill_shared.plumbing.crew import CrewStep
from pixmill_shared.plumbing.ending import EndingStep
from pixmill_shared.plumbing.leases import LeaseStep
from pixmill_shared.plumbing.letterbox import RecordingStep

__all__ = ["app"]

processes.consume_by_default(QueueName.DEFAULT, QueueName.DEFAULT_HIGH, QueueName.MAINTENANCE)

app = PixmillCelery("pixmill", task_cls=PixmillTask, set_as_current=True)
app.add_defaults(celery_config)
app.steps["worker"].update((processes.HealthStep, RecordingStep, LeaseStep, CrewStep, EndingStep))
