"""Pictures of menus, by AI: send a menu, and look how its pictures come along."""

import uuid
from typing import Any, cast

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Reading, Shared, Writing
from pixmill_api.bodies import read_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.generation_reading import dishes_of, read_menu
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.menu_schemas import MenuAccepted, MenuRequest, MenuStatus
from pixmill_api.openapi import KEYED, body, problems_of, success
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import RETRY_AFTER, request_id_of
from pixmill_api.service import menus
from pixmill_api.service.generating import WantedGeneration, refuse_if_off, submit_generation
from pixmill_shared.domain.generation import Form
from pixmill_shared.domain.recipe import Limits

router = make_router("image")


@router.post(
    "/generate-async",
    status_code=202,
    summary="Have pictures made of a menu",
    responses={**success(202, MenuAccepted), **problems_of(400, 401, 403, 409, 413, 415, 422, 429, 503)},
    openapi_extra={**body(MenuRequest), **KEYED},
)
async def generate_menu(request: Request, context: Shared, caller: Writing) -> Response:
    """A picture of each dish, made by an image model while you wait for nothing: the answer says where to look.

    What no model makes a picture of is shown as `fallback` says, and said to be so. 403 `not_offered` where
    generated pictures are switched off.
    """
    refuse_if_off(context)
    once = once_per_key(request, context, caller)
    document = await read_json(request, context.settings.max_body_bytes)
    limits = Limits(max_outputs=context.settings.max_outputs)
    wanted, recipe = await run_in_threadpool(read_menu, document, limits, context.generation.max_items)
    generation = WantedGeneration(
        *(caller, wanted, dishes_of(wanted, cast(dict[str, Any], document)), list(wanted.final_menu), Form.MENU),
        *(recipe, request_id_of(request)),
        session_id=wanted.session_id,
    )

    def answer(session: Session) -> Response:
        job_id = submit_generation(context, session, generation)
        told = menus.accepted_menu(context, session, caller, job_id)
        location = f"{context.public_url}{told['status_endpoint']}"
        return created(202, told, {"Location": location, "Retry-After": RETRY_AFTER})

    return await once.answer(document, answer)


@router.get(
    "/status/{job_id}",
    summary="Look how the pictures of a menu come along",
    responses={**success(200, MenuStatus), **problems_of(401, 404, 503)},
)
async def get_menu_status(job_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """How far it is, and when it has ended, whatever way, all dishes with the pictures that there are."""
    found: uuid.UUID | None = parse_id(job_id)
    if found is None:
        raise NotFound("There is no such job.")
    return JSONResponse(await run_in_threadpool(menus.find_status, context, caller, found))
