"""What fetches and webhooks may reach, through which proxy, and for how long."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pixmill_shared.domain.addresses import AllowList, is_host_name, literal_address, parse_allow_list
from pixmill_shared.settings.base import Settings


class EgressSettings(Settings):
    allow: str = Field(
        default="",
        validation_alias="PIXMILL_EGRESS_ALLOW",
        description="Exceptions to the ban on private addresses: comma separated hosts, addresses, networks, "
        "each optionally with :port",
    )
    proxy: str = Field(
        default="",
        validation_alias="PIXMILL_EGRESS_PROXY",
        description="http://[user:password@]host:port of the proxy for fetches and webhooks; empty for none",
    )
    ca_file: str = Field(
        default="",
        validation_alias="PIXMILL_EGRESS_CA_FILE",
        description="PEM file of certificate authorities trusted besides the public ones; empty for none",
    )
    fetch_timeout: float = Field(
        default=30,
        gt=0,
        validation_alias="PIXMILL_FETCH_TIMEOUT",
        description="Seconds for one whole fetch, from name resolution to the last byte, redirects included",
    )
    connect_timeout: float = Field(
        default=5,
        gt=0,
        validation_alias="PIXMILL_FETCH_CONNECT_TIMEOUT",
        description="Seconds for connecting to one address, fetches and webhooks alike",
    )
    max_redirects: int = Field(
        default=5,
        ge=0,
        validation_alias="PIXMILL_FETCH_MAX_REDIRECTS",
        description="Number of redirects that a fetch follows",
    )
    max_source_bytes: int = Field(
        default=50_000_000,
        gt=0,
        validation_alias="PIXMILL_MAX_SOURCE_BYTES",
        description="Bytes that a source may have",
    )
    webhook_timeout: float = Field(
        default=10,
        gt=0,
        validation_alias="PIXMILL_WEBHOOK_TIMEOUT",
        description="Seconds for one whole webhook delivery, from name resolution to the status",
    )

    @field_validator("allow")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_allow_list(value)
        return value

    @field_validator("proxy")
    @classmethod
    def _plain_http_proxy(cls, value: str) -> str:
        # TLS to the proxy would put TLS inside TLS, where the deadline cannot be kept. The message may not
        # show the value: it may hold a password.
        if value and not _is_http_proxy(value):
            raise ValueError("must be like http://user:password@proxy.example:3128 (http only)")
        return value

    @field_validator("ca_file")
    @classmethod
    def _existing(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError(f"there is no file {value}")
        return value

    def allow_list(self) -> AllowList:
        return parse_allow_list(self.allow)


def _is_http_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        address = literal_address(host)
        port_fits = parts.port != 0
    except ValueError:
        return False
    at_root = parts.path in ("", "/") and not parts.query and not parts.fragment
    return parts.scheme == "http" and at_root and port_fits and (address is not None or is_host_name(host))
