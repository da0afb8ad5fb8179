"""Where objects are kept."""

from pydantic import Field, SecretStr, field_validator

from pixmill_shared.settings.base import Settings

_SCHEMES = ("file://", "s3://", "gs://", "az://")


class StorageSettings(Settings):
    """A directory, or a bucket. The ``AWS_`` names are those of every S3 client."""

    url: str = Field(
        default="",
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
    def _known_scheme(cls, value: str) -> str:
        if not value.startswith(_SCHEMES):
            raise ValueError(f"must start with one of {', '.join(_SCHEMES)}; for a directory file:///var/lib/pixmill.")
        return value
