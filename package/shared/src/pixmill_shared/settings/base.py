"""What all settings classes share: where they read from, and how a wrong one is reported."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Self

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pixmill_shared.errors import ConfigurationError


class Environment(StrEnum):
    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class Settings(BaseSettings):
    """Reads the environment only: a ``.env`` file is the business of compose or of the shell."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True)

    @classmethod
    def load(cls) -> Self:
        """Read and validate, or raise ConfigurationError with a line per wrong variable and its name."""
        try:
            return cls()
        except ValidationError as error:
            lines = [f"{_variable(cls, e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
            raise ConfigurationError("\n".join(lines)) from None


class RuntimeSettings(Settings):
    """Is this a production process? Production (the default) refuses placeholder secrets."""

    env: Environment = Field(
        default=Environment.PRODUCTION,
        validation_alias="PIXMILL_ENV",
        description="production, development or test; production refuses placeholder secrets",
    )


def check_together(checks: Iterable[Callable[[], object]]) -> None:
    """Run all; raise one ConfigurationError with the lines of all that failed, so that a person mends them at once."""
    lines = []
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            lines.append(str(error))
    if lines:
        raise ConfigurationError("\n".join(lines))


def is_production() -> bool:
    return RuntimeSettings.load().env is Environment.PRODUCTION


def refuse_placeholder(value: str, variable: str, hint: str) -> str:
    """Refuse an empty secret everywhere that it is needed, and a placeholder in production."""
    if not value:
        raise ValueError(f"is empty. {hint}")
    if is_production() and "changeme" in value.lower():
        raise ValueError(f"still has the placeholder of .env.example, which anyone can read. {hint}")
    return value


def _variable(cls: type[Settings], location: tuple[int | str, ...]) -> str:
    if not location:
        return cls.__name__
    field = cls.model_fields.get(str(location[0]))
    alias = field.validation_alias if field else None
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return str(alias or location[0])
