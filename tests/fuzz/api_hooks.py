"""Loaded by schemathesis: what no schema can say, the requests are given.

* A key of idempotency belongs to one request. Each that is well-formed is made unique, or the next request with it
  would rightly be refused.
* What is referred to must exist. Each well-formed reference to an upload, a place or a preset becomes one to something
  that is there; FUZZ_KNOWN names them.
* Nobody waits for a job that no worker does, and no upload is announced that never comes.
* A menu has a number of dishes that its categories have together: of one that has too many the longest category stays.
* A name that no output can have, and the id of an event that no event can have, are tried on things that are there.
* A recipe whose parts do not go together by rules that JSON Schema has no words for (names and keys of outputs that are
  the same, `dpr` times a side beyond the limit, a side of 16,384 pixels in a WebP) becomes one that does.
"""

import base64
import hashlib
import itertools
import json
import os
import re
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies
from jsonschema import Draft202012Validator
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import ComponentInfo, FuzzingPhaseData
from schemathesis.generation.modes import GenerationMode
from schemathesis.transport.serialization import contains_binary

from pixmill_api.cors import EXPOSED
from pixmill_api.domain.media_types import FORM
from pixmill_api.domain.patterns import PLACE
from pixmill_api.openapi_headers import HEADERS
from pixmill_shared.domain.generation import MOST_ITEMS
from pixmill_shared.domain.recipe import RECIPE_SCHEMA, Limits, RecipeError, parse_recipe
from pixmill_shared.domain.recipe.limits import MOST_OUTPUTS

KEY = "Idempotency-Key"
NAMES = itertools.cycle(["\0", "web\0", "web%"])
EVENTS = itertools.cycle([str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1)), "0", "-1"])
KNOWN: dict[str, str] = json.loads(os.environ["FUZZ_KNOWN"])
TOLD = {name.lower() for name in (*HEADERS, *EXPOSED)}
"""Headers that a client needs to know of."""
_fits = Draft202012Validator(RECIPE_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
_count = itertools.count(1)


#: Of its own accord schemathesis covers headers with letters and digits only.
schemathesis.openapi.format(
    "tus-checksum",
    strategies.binary(max_size=20).map(lambda data: f"sha1 {base64.b64encode(hashlib.sha1(data).digest()).decode()}"),
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    headers = case.headers or {}
    for name in list(headers):
        if name.lower() == KEY.lower() and re.fullmatch(r"[\x20-\x7e]{1,255}", str(headers[name])):
            headers[name] = f"{str(headers[name])[:200].strip()}-{next(_count)}"
        if name.lower() == "upload-length" and re.fullmatch(r"[0-9]{7,18}", str(headers[name])):
            headers[name] = "1000"
        if name.lower() == "prefer" and re.fullmatch(r"wait=[0-9]+", str(headers[name])):
            headers[name] = "wait=0"
    if isinstance(case.body, dict | list):
        _point(case.body)
    if (case.path_parameters or {}).get("name") == KNOWN.get("preset"):
        case.path_parameters["name"] = "zz-other"
    if next(_count) % 2:
        _try_what_cannot_be(case)
    # What was right stays right, and what was wrong wrong. Schemathesis would judge changed requests anew, and take all
    # with bytes in them, or with a header left out on purpose, for what they are not.
    case._record_starting_state()
    if isinstance(getattr(case.meta, "phase", None) and case.meta.phase.data, FuzzingPhaseData):
        _judge_form(case)


@schemathesis.check
def headers_are_described(ctx: Any, response: Any, case: Any) -> None:
    described = case.operation.responses.find_by_status_code(response.status_code)
    if described is not None:
        names = {name.lower() for name, _ in described.headers.items()}
        sent = {name.lower() for name in response.headers} & TOLD
        assert sent <= names, f"{response.status_code} has headers that the document does not: {sent - names}"


def _try_what_cannot_be(case: Any) -> None:
    if case.path.endswith("/outputs/{name}"):
        case.path_parameters = {"job_id": KNOWN["completed_job"], "name": next(NAMES)}
    if case.path.endswith("/events") and case.headers is not None:
        case.headers["Last-Event-ID"] = next(EVENTS)


@schemathesis.serializer("application/offset+octet-stream")
def _bytes_of_tus(context: Any, value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value).encode()


def _judge_form(case: Any) -> None:
    """What breaks one alternative of a form may be what the other one is. Schemathesis looks again at bodies that it
    has changed, but at none with bytes in it.
    """
    form = case.operation.get_body_for_media_type(case.media_type) if case.media_type == FORM else None
    if form is None or not isinstance(case.body, dict):
        return
    fields = {name: "x" if contains_binary(value) else value for name, value in case.body.items()}
    if make_validator(form.validation_schema, case.operation.schema.adapter.jsonschema_validator_cls).is_valid(fields):
        components = case.meta.components
        components[ParameterLocation.BODY] = ComponentInfo(mode=GenerationMode.POSITIVE)
        if not any(component.mode.is_negative for component in components.values()):
            case.meta.generation.mode = GenerationMode.POSITIVE


def _point(document: Any) -> None:
    """References in it lead to what is there."""
    for key, value in document.items() if isinstance(document, dict) else ():
        if key in KNOWN and isinstance(value, str) and _is_reference(key, value):
            document[key] = KNOWN[key]
        if key == "recipe" and _fits.is_valid(value) and not _goes_together(value):
            document[key] = {"outputs": [{"name": "web"}]}
        if key == "final_menu" and isinstance(value, dict):
            document[key] = _of_one_category(value)
    if isinstance(document, dict) and document.get("upload_id") == KNOWN["upload_id"]:
        _drop_digest(document)
    for value in document.values() if isinstance(document, dict) else document:
        if isinstance(value, dict | list):
            _point(value)


def _drop_digest(image: dict[str, Any]) -> None:
    """It is not that of the bytes that are there; one that is none stays wrong."""
    if re.fullmatch("[0-9a-f]{64}", str(image.get("sha256"))):
        del image["sha256"]


def _of_one_category(menu: dict[str, Any]) -> dict[str, Any]:
    """If its dishes are too many only together."""
    dishes = {name: found for name, found in menu.items() if isinstance(found, list)}
    counts = {name: len(found) for name, found in dishes.items()}
    if len(dishes) < len(menu) or sum(counts.values()) <= MOST_ITEMS or max(counts.values()) > MOST_ITEMS:
        return menu
    longest = max(counts, key=lambda name: counts[name])
    return {longest: menu[longest]}


def _goes_together(recipe: Any) -> bool:
    try:
        parse_recipe(recipe, Limits(max_outputs=MOST_OUTPUTS))
    except RecipeError:
        return False
    return True


def _is_reference(key: str, text: str) -> bool:
    if key in ("upload_id", "upload"):
        try:
            return str(uuid.UUID(text)) == text.lower()
        except ValueError:
            return False
    if key == "preset":
        return re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}(@(0|[1-9][0-9]{0,8}))?", text) is not None
    return re.fullmatch(PLACE, text) is not None
