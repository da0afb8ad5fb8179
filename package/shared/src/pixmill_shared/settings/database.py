"""Where Postgres is."""

from typing import Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from pixmill_shared.settings.base import Settings, is_production, refuse_placeholder

_HINT = "Set DATABASE_URL, or DB_HOST, DB_NAME, DB_USER and DB_PASSWORD."


def normalise_url(url: str) -> str:
    """Accept what hosting providers hand out, and name the driver that pixmill uses.

    SQLAlchemy 2.1 reads a bare ``postgresql://`` as psycopg 3.
    """
    for scheme in ("postgresql+psycopg2://", "postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg2://" + url.removeprefix(scheme)
    raise ValueError("is not a Postgres URL. Write postgresql://user:password@host:5432/name.")


class DatabaseSettings(Settings):
    """The ``app`` role's connection: DML only. ``DATABASE_URL`` wins over the four parts."""

    database_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host:port/name",
    )
    host: str = Field(
        default="",
        validation_alias="DB_HOST",
        description="host, or host:port; used with the next three where DATABASE_URL is empty",
    )
    name: str = Field(default="pixmill", validation_alias="DB_NAME", description="database name")
    user: str = Field(
        default="app", validation_alias="DB_USER", description="role that reads and writes rows and owns nothing"
    )
    password: SecretStr = Field(
        default=SecretStr(""), validation_alias="DB_PASSWORD", description="password of DB_USER"
    )
    pool_size: int = Field(
        default=10,
        ge=1,
        validation_alias="PIXMILL_DB_POOL_SIZE",
        description="connections kept by a threaded process",
    )
    statement_timeout: int = Field(
        default=30,
        ge=1,
        validation_alias="PIXMILL_DB_STATEMENT_TIMEOUT",
        description="seconds that a statement may take",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.database_url.get_secret_value() and not self.host:
            raise ValueError(f"no database is named. {_HINT}")
        refuse_placeholder(self.url, "DATABASE_URL", _HINT)
        if not self.database_url.get_secret_value() and not self.password.get_secret_value() and is_production():
            raise ValueError(f"DB_PASSWORD is empty. {_HINT}")
        return self

    @property
    def url(self) -> str:
        """For SQLAlchemy, with driver."""
        given = self.database_url.get_secret_value()
        if given:
            return normalise_url(given)
        user, password = quote(self.user, safe=""), quote(self.password.get_secret_value(), safe="")
        return f"postgresql+psycopg2://{user}:{password}@{self.host}/{self.name}"


class MigrateSettings(Settings):
    """The owner's connection, read by ``pixmill migrate`` only. Falls back on the ``app`` role's."""

    migrate_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="PIXMILL_MIGRATE_DATABASE_URL",
        description="postgresql:// URL of the role that owns the schema; default: DATABASE_URL",
    )

    @field_validator("migrate_url")
    @classmethod
    def _no_placeholder(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            refuse_placeholder(value.get_secret_value(), "PIXMILL_MIGRATE_DATABASE_URL", _HINT)
        return value

    @property
    def url(self) -> str:
        given = self.migrate_url.get_secret_value()
        return normalise_url(given) if given else DatabaseSettings.load().url
