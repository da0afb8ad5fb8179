"""The tasks of imaging; this module is its entry point in ``pixmill.tasks``.

Every process of an installation imports it, beat too, only to know the names: what works is imported by the task.
"""

from pixmill_imaging.tasks import fetch, generate, ingest, render

__all__ = ["fetch", "generate", "ingest", "render"]
