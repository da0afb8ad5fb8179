"""API keys. What every request asks is prepared SQL; what people do now and then is SQLAlchemy."""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.models import ApiKey
from pixmill_shared.database.prepared import Prepared


@dataclass(frozen=True, slots=True)
class CheckedKey:
    """A key that may be used. ``expires_in``: seconds, None: never; None as a limit: the installation's."""

    id: uuid.UUID
    project: str
    name: str
    prefix: str
    token_sha256: bytes
    scopes: frozenset[Scope]
    presets_only: bool
    rate_limit: int | None
    max_unfinished: int | None
    expires_in: float | None


_USABLE: Final = Prepared(
    """
    SELECT id, project, name, prefix, token_sha256, scopes, presets_only, rate_limit, max_unfinished,
           extract(epoch FROM expires_at - clock_timestamp())::float8 AS expires_in
    FROM api_keys
    WHERE prefix = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
    """,
    "text",
)


def find_usable(session: Session, prefix: str) -> CheckedKey | None:
    """By the public part of the token; neither revoked nor expired by the database's clock."""
    rows = _USABLE.run(session, prefix)
    if not rows:
        return None
    row = rows[0]
    row["id"] = uuid.UUID(str(row["id"]))
    row["token_sha256"] = bytes(row["token_sha256"])
    row["scopes"] = frozenset(map(Scope, row["scopes"]))
    return CheckedKey(**row)


def add(session: Session, key: ApiKey, expires_in: datetime.timedelta | None = None) -> None:
    """``key`` holds a hash and an encrypted secret, never the token; ``expires_in`` counts by the database's clock."""
    if expires_in is not None:
        key.expires_at = func.clock_timestamp() + expires_in
    session.add(key)
    session.flush()
    session.refresh(key)


def find(session: Session, key_id: uuid.UUID, project: str | None, *, lock: bool = False) -> ApiKey | None:
    """None also for another project's; ``project`` None: any. ``lock``: until the transaction ends."""
    query = select(ApiKey).where(ApiKey.id == key_id)
    if project is not None:
        query = query.where(ApiKey.project == project)
    return session.scalar(query.with_for_update() if lock else query)


def find_by_prefix(session: Session, prefix: str) -> ApiKey | None:
    """Usable or not."""
    return session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))


def page(session: Session, project: str | None, *, limit: int, before: uuid.UUID | None) -> Sequence[ApiKey]:
    """Newest first, one more than ``limit`` if there are more; ``project`` None: of all."""
    query = select(ApiKey)
    if project is not None:
        query = query.where(ApiKey.project == project)
    if before is not None:
        query = query.where(ApiKey.id < before)
    return session.scalars(query.order_by(ApiKey.id.desc()).limit(limit + 1)).all()


def revoke(session: Session, key: ApiKey) -> None:
    """From now on, by the database's clock; a key that is revoked stays revoked since then."""
    if key.revoked_at is None:
        key.revoked_at = func.clock_timestamp()
        session.flush()
        session.refresh(key)


def exchange_secret(session: Session, key: ApiKey, sealed: bytes, grace: float) -> None:
    """The secret that there was signs for ``grace`` seconds more."""
    key.former_secret, key.webhook_secret = key.webhook_secret, sealed
    key.former_secret_expires_at = func.clock_timestamp() + datetime.timedelta(seconds=grace)
    session.flush()
    session.refresh(key)


def former_secret_signs(session: Session, key: ApiKey) -> bool:
    """By the database's clock."""
    signs = ApiKey.former_secret_expires_at > func.clock_timestamp()
    return session.scalar(select(func.count()).where(ApiKey.id == key.id, signs)) == 1


def expire(session: Session, most: int) -> list[ApiKey]:
    """Keys whose time is over become revoked, at most ``most``; those of them."""
    over = select(ApiKey.id).where(ApiKey.revoked_at.is_(None), ApiKey.expires_at <= func.clock_timestamp())
    chosen = over.order_by(ApiKey.expires_at).limit(most).with_for_update(skip_locked=True)
    # Since when it cannot be used is when its time was over, not when somebody noticed.
    ended = update(ApiKey).where(ApiKey.id.in_(chosen)).values(revoked_at=ApiKey.expires_at).returning(ApiKey)
    return list(session.scalars(ended.execution_options(synchronize_session=False)))


def forget_former_secrets(session: Session) -> int:
    """Those that sign no more; how many."""
    over = update(ApiKey).where(ApiKey.former_secret_expires_at <= func.clock_timestamp())
    gone = over.values(former_secret=None, former_secret_expires_at=None).returning(ApiKey.id)
    return len(session.scalars(gone.execution_options(synchronize_session=False)).all())
