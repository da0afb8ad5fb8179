"""The API's own tasks in its own process; this is its entry point in ``pixmill.inline``."""

from pixmill_api.tasks.archives import build_zip
from pixmill_api.tasks.keys import expire
from pixmill_api.tasks.uploads import expire_unfinished
from pixmill_shared.plumbing.inline import InlineService
from pixmill_shared.settings.maintenance import MaintenanceSettings

SERVICE = InlineService(threads=(expire_unfinished, expire, build_zip), checks=(MaintenanceSettings.load,))
