"""One file per resource: read the request, call one use-case, answer."""

from typing import Final

from fastapi import APIRouter

BASE: Final = "/api/v1"


def router(resource: str) -> APIRouter:
    """With the whole path in it, so that metrics see the template that clients see."""
    return APIRouter(prefix=f"{BASE}/{resource}", tags=[resource])
