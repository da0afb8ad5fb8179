"""From settings to a store."""

from datetime import timedelta
from urllib.parse import unquote, urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage.objects import BucketStore, DirectoryStore
from pixmill_shared.storage.signing import FileUrlSigner
from pixmill_shared.storage.store import ObjectStore


def open_store(settings: StorageSettings, signer: FileUrlSigner, public_url: str) -> ObjectStore:
    """No request is made here, so this may run before a fork."""
    scheme = urlsplit(settings.url).scheme
    if scheme == "file":
        return DirectoryStore(unquote(urlsplit(settings.url).path), signer, public_url)
    timeout = timedelta(seconds=settings.timeout)
    retry = {"max_retries": 2, "retry_timeout": timeout}
    if scheme == "gs":
        return BucketStore(GCSStore.from_url(settings.url, client_options={"timeout": timeout}))
    if scheme == "az":
        return BucketStore(AzureStore.from_url(settings.url, client_options={"timeout": timeout}))
    return BucketStore(
        S3Store.from_url(
            settings.url,
            config=_s3_config(settings),  # type: ignore[arg-type]
            client_options={
                "timeout": timeout,
                "allow_http": settings.aws_endpoint_url.startswith("http://"),
            },
            retry_config=retry,  # type: ignore[arg-type]
        )
    )


def _s3_config(settings: StorageSettings) -> dict[str, str]:
    config = {
        "region": settings.aws_region,
        "endpoint": settings.aws_endpoint_url,
        "access_key_id": settings.aws_access_key_id.get_secret_value(),
        "secret_access_key": settings.aws_secret_access_key.get_secret_value(),
    }
    return {name: value for name, value in config.items() if value}
