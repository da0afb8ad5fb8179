"""``/`` and ``/docs``: a reference that needs nothing from the internet."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse

router = APIRouter(include_in_schema=False)

_PAGE = files("pixmill_api").joinpath("static/docs.html").read_text(encoding="utf-8")


@router.get("/")
async def root() -> RedirectResponse:
    return RedirectResponse("docs", 307)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Reads /openapi.json in the browser."""
    return HTMLResponse(_PAGE)
