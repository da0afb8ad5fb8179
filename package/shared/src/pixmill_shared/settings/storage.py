"""Where objects are kept."""

import re
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder

_SCHEMES: Final = ("file", "s3", "gs", "az")
_HINT: Final = "Write file:///var/lib/pixmill for a directory, or s3://bucket/prefix, gs://… or az://… for a bucket."
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ODD: Final = re.compile(r"[%\s\\]")
_KEY_HINT: Final = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to the keys of the bucket."


class StorageSettings(Settings):
    """A directory, or a bucket. The ``AWS_`` names are those of every S3 client."""

    url: str = Field(
        default="",
        validate_default=True,
        validation_alias="PIXMILL_STORAGE_URL",
        description="where objects are: file:///dir, s3://bucket/prefix, gs://… or az://…",
    )
    aws_access_key_id: SecretStr = Field(
        default=SecretStr(""), validation_alias="AWS_ACCESS_KEY_ID", description="access key of the s3:// bucket"
    )
    aws_secret_access_key: SecretStr = Field(
        default=SecretStr(""), validation_alias="AWS_SECRET_ACCESS_KEY", description="secret key of the s3:// bucket"
    )
    aws_region: str = Field(
        default="us-east-1", validation_alias="AWS_REGION", description="region of the s3:// bucket"
    )
    aws_endpoint_url: str = Field(
        default="",
        validation_alias="AWS_ENDPOINT_URL",
        description="URL of an S3-compatible server; empty: AWS itself",
    )
    aws_public_endpoint_url: str = Field(
        default="",
        validation_alias="PIXMILL_STORAGE_PUBLIC_ENDPOINT",
        description="URL by which browsers reach that server, for signed URLs; empty: the same",
    )
    timeout: int = Field(
        default=30,
        ge=1,
        validation_alias="PIXMILL_STORAGE_TIMEOUT",
        description="seconds for one request to the bucket",
    )
    url_ttl: int = Field(
        default=3600,
        ge=1,
        le=604_800,
        validation_alias="PIXMILL_URL_TTL",
        description="seconds a signed URL is valid",
    )

    @field_validator("url")
    @classmethod
    def _usable(cls, value: str) -> str:
        # No message shows the value: somebody may have put a password into it.
        if not value:
            raise ValueError(f"is empty. {_HINT}")
        scheme, host, path, query, fragment = urlsplit(value)
        if scheme not in _SCHEMES or not value.startswith(f"{scheme}://"):
            raise ValueError(f"must begin with one of {', '.join(f'{known}://' for known in _SCHEMES)}. {_HINT}")
        if query or fragment or "?" in value or "#" in value:
            raise ValueError(f"may have no ? and no #. {_HINT}")
        if scheme == "file":
            _require_absolute(host, path)
        else:
            _require_bucket(host, path)
        return value

    @field_validator("aws_endpoint_url", "aws_public_endpoint_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError("must be like https://s3.example.com or http://127.0.0.1:9000, without a login.")
        return value

    @field_validator("aws_secret_access_key")
    @classmethod
    def _no_placeholder(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            refuse_placeholder(value.get_secret_value(), "AWS_SECRET_ACCESS_KEY", _KEY_HINT)
        return value

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        given = [bool(key.get_secret_value()) for key in (self.aws_access_key_id, self.aws_secret_access_key)]
        if not self.url.startswith("s3://"):
            return self
        if any(given) and not all(given):
            missing = "AWS_ACCESS_KEY_ID" if given[1] else "AWS_SECRET_ACCESS_KEY"
            raise ValueError(f"{missing} is empty and its other half is not. {_KEY_HINT}")
        if self.aws_endpoint_url and not any(given):
            # Without keys the library asks the machine's cloud for them, which only helps with AWS itself.
            raise ValueError(f"AWS_ENDPOINT_URL names a server, and no keys for it are set. {_KEY_HINT}")
        return self

    @property
    def directory(self) -> str:
        """The path of a ``file://`` URL, else empty."""
        return unquote(urlsplit(self.url).path) if self.url.startswith("file://") else ""


def _require_bucket(host: str, path: str) -> None:
    if not _BUCKET.fullmatch(host):
        raise ValueError(f"must name a bucket after the two slashes, without login or port. {_HINT}")
    # The library resolves and decodes these in its own way: objects would land under another prefix than was written.
    if "//" in path or ".." in path.split("/") or _ODD.search(path):
        raise ValueError(f"may have no empty segment, no `..`, no % and no space after the bucket. {_HINT}")


def _require_absolute(host: str, path: str) -> None:
    if host:
        raise ValueError(f"must have three slashes after file:, as the path must be absolute. {_HINT}")
    if not path.strip("/") or ".." in path.split("/") or "\0" in unquote(path):
        raise ValueError(f"must name a directory by its absolute path, without `..`. {_HINT}")
