"""Keys and the audit: bodies of requests, and answers as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema
from pydantic_core import PydanticCustomError

from pixmill_shared.contract.scopes import Scope

LONGEST_NAME: Final = 100
MOST: Final = 10_000_000
LONGEST_LIFE: Final = 10 * 366 * 86_400

_TOKEN: Final = "pxm_0f3c5a7e9b1dm1zSxPqJ0m9Hn2w8YbC7tR4uKf6LdEaVgXoQiZsWk5"  # noqa: S105 - an example
_KEY: Final[dict[str, Any]] = {
    "key_id": "01a1d4c0-5e1f-7c3a-9b1e-3a5f2d1c0b9a",
    "name": "shop",
    "prefix": "pxm_0f3c5a7e9b1d",
    "scopes": ["jobs:read", "jobs:write"],
    "presets_only": False,
    "rate_limit": 600,
    "max_unfinished": None,
    "created_at": "2030-01-31T08:00:00Z",
    "expires_at": None,
    "revoked_at": None,
    "former_secret_expires_at": None,
    "urls": {
        "self": "https://pixmill.example.com/api/v1/keys/01a1d4c0-5e1f-7c3a-9b1e-3a5f2d1c0b9a",
        "rotate": "https://pixmill.example.com/api/v1/keys/01a1d4c0-5e1f-7c3a-9b1e-3a5f2d1c0b9a/rotate",
    },
}
_RECORD: Final[dict[str, Any]] = {
    "audit_id": "01a1d4c1-77aa-7d10-8c55-6b7a8c9d0e1f",
    "at": "2030-01-31T08:00:00Z",
    "actor": "operations (9b1d0f3c5a7e)",
    "action": "key.created",
    "target": _KEY["key_id"],
    "detail": {"name": "shop", "scopes": ["jobs:read", "jobs:write"]},
    "request_id": "01a1d4c1-77a9-7b3e-9f00-1a2b3c4d5e6f",
}


def _whole(given: object) -> object:
    # Pydantic would take true for 1, and the text "1".
    if isinstance(given, bool | str):
        raise PydanticCustomError("whole", "must be an integer")
    return given


def _scopes(found: list[Scope]) -> list[Scope]:
    if len(set(found)) < len(found):
        raise PydanticCustomError("scopes", "names a scope twice")
    return found


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_NAME,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
        description="what the key is for; no control characters",
    ),
]
Count = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_whole)]
Scopes = Annotated[
    list[Scope],
    Field(min_length=1),
    AfterValidator(_scopes),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "enum": list(Scope)},
            "minItems": 1,
            "uniqueItems": True,
            "description": "`admin` includes the others",
        }
    ),
]
_RATE: Final = "requests a minute; 0: no limit; null: PIXMILL_RATE_LIMIT"
_UNFINISHED: Final = "jobs that may wait or run at the same time; 0: no limit; null: PIXMILL_MAX_UNFINISHED_JOBS"
_PRESETS_ONLY: Final = "it may name presets, and send no recipe of its own"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyRequest(_Body):
    """A key of the project of the key that asks."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "shop", "rate_limit": 600}]})

    name: Name
    scopes: Scopes = [Scope.READ, Scope.WRITE]
    presets_only: StrictBool = Field(default=False, description=_PRESETS_ONLY)
    rate_limit: Count | None = Field(default=None, description=_RATE)
    max_unfinished: Count | None = Field(default=None, description=_UNFINISHED)
    expires_in: Annotated[int, Field(ge=1, le=LONGEST_LIFE), BeforeValidator(_whole)] | None = Field(
        default=None, description="seconds until it can be used no more; null: never"
    )


class KeyChange(_Body):
    """What is not given stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rate_limit": 1200}]})

    name: Name = Field(default_factory=str)
    presets_only: StrictBool = Field(default_factory=bool, description=_PRESETS_ONLY)
    rate_limit: Count | None = Field(default=None, description=_RATE)
    max_unfinished: Count | None = Field(default=None, description=_UNFINISHED)


class KeyDocument(BaseModel):
    """Without its token and its webhook secret, which are shown once."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    key_id: uuid.UUID
    name: str
    prefix: str = Field(description="the public start of its token")
    scopes: list[Scope]
    presets_only: bool
    rate_limit: int | None = Field(description=_RATE)
    max_unfinished: int | None = Field(description=_UNFINISHED)
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    former_secret_expires_at: datetime.datetime | None = Field(
        description="until then webhooks carry a signature by the former secret too"
    )
    urls: dict[str, str]


class CreatedApiKey(KeyDocument):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_KEY, "token": _TOKEN, "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]
        }
    )

    token: str = Field(description="`pxm_…`, for `Authorization: Bearer`. Shown here only: keep it")
    webhook_secret: str = Field(
        description="`whsec_…`: signs what goes to the `webhook_url` of the key's jobs. Shown here only: keep it"
    )


class RotatedKey(BaseModel):
    """Until `former_expires_at` webhooks carry a signature by each secret. The token stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key_id": _KEY["key_id"],
                    "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                    "former_expires_at": "2030-02-01T08:00:00Z",
                }
            ]
        }
    )

    key_id: uuid.UUID
    webhook_secret: str = Field(description="the new one. Shown here only: keep it")
    former_expires_at: datetime.datetime


class KeyList(BaseModel):
    data: list[KeyDocument]
    next_cursor: str | None
    has_more: bool


class AuditDocument(BaseModel):
    """Something that was done. `actor` is the key's name and prefix, or who ran the command on which machine."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECORD]})

    audit_id: uuid.UUID
    at: datetime.datetime
    actor: str
    action: str = Field(description="like `key.created`")
    target: str = Field(description="id or name of what it was done to")
    detail: dict[str, Any]
    request_id: str | None


class AuditList(BaseModel):
    data: list[AuditDocument]
    next_cursor: str | None
    has_more: bool
