"""The tasks of imaging; this module is its entry point in ``pixmill.tasks``."""

from pixmill_imaging.tasks import fetch, render

__all__ = ["fetch", "render"]
