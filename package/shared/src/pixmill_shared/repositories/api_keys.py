"""API keys. SQLAlchemy."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import ApiKey


def add(session: Session, key: ApiKey) -> None:
    """``key`` holds a hash and an encrypted secret, never the token."""
    session.add(key)


def find(session: Session, prefix: str) -> ApiKey | None:
    """By the public part of the token; revoked keys are not found."""
    return session.scalar(select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None)))
