"""From settings to a store."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage.bucket import BucketStore
from pixmill_shared.storage.directory import DirectoryStore
from pixmill_shared.storage.signing import FileUrlSigner
from pixmill_shared.storage.store import ObjectStore


def open_store(settings: StorageSettings, signer: FileUrlSigner, public_url: str) -> ObjectStore:
    """No request is made here, so this may run before a fork. Raises ConfigurationError."""
    if settings.directory:
        return DirectoryStore(settings.directory, signer, public_url)
    try:
        return BucketStore(_bucket(settings), _bucket(_seen_from_outside(settings)))
    except (BaseError, ValueError) as error:
        # The first line: the others are the library's view of itself.
        raise ConfigurationError(f"PIXMILL_STORAGE_URL: {str(error).partition(chr(10))[0]}") from error


def prepare_directory(settings: StorageSettings) -> None:
    """Make the directory, if objects are in one. For the start of a process that reads or writes objects.

    Raises ConfigurationError if this process may not use it. Makes no request of the store, so it may run before a
    fork; a bucket is not asked, since it may be away for a moment.
    """
    if not settings.directory:
        return
    path = Path(settings.directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        usable = os.access(path, os.R_OK | os.W_OK | os.X_OK)
        problem = "this user may not write there"
    except OSError as error:
        usable, problem = False, error.strerror or str(error)
    if not usable:
        raise ConfigurationError(
            f"PIXMILL_STORAGE_URL: cannot use the directory {path} ({problem}). Give it to the user that pixmill runs "
            f"as (user id {os.geteuid()}), or name another one."
        )


def _bucket(settings: StorageSettings) -> S3Store | GCSStore | AzureStore:
    timeout = timedelta(seconds=settings.timeout)
    options: dict[str, Any] = {
        "client_options": {
            "timeout": timeout,
            "connect_timeout": min(timeout, timedelta(seconds=5)),
            "allow_http": settings.aws_endpoint_url.startswith("http://"),
        },
        # No retry begins after the timeout; the last one may take as long again.
        "retry_config": {"max_retries": 2, "retry_timeout": timeout},
    }
    if settings.url.startswith("gs://"):
        return GCSStore.from_url(settings.url, **options)
    if settings.url.startswith("az://"):
        return AzureStore.from_url(settings.url, **options)
    return S3Store.from_url(settings.url, config=_s3_config(settings), **options)  # type: ignore[arg-type]


def _seen_from_outside(settings: StorageSettings) -> StorageSettings:
    endpoint = settings.aws_public_endpoint_url or settings.aws_endpoint_url
    return settings.model_copy(update={"aws_endpoint_url": endpoint})


def _s3_config(settings: StorageSettings) -> dict[str, str]:
    config = {
        "region": settings.aws_region,
        "endpoint": settings.aws_endpoint_url.rstrip("/"),
        "access_key_id": settings.aws_access_key_id.get_secret_value(),
        "secret_access_key": settings.aws_secret_access_key.get_secret_value(),
    }
    return {name: value for name, value in config.items() if value}
