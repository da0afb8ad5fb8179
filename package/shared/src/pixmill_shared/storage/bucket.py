"""Objects in a bucket: S3 and compatible servers, Google Cloud Storage, Azure. Their URLs are the provider's own."""

import datetime
from typing import Any, Final

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from pixmill_shared.storage.forks import enter_library
from pixmill_shared.storage.keys import check_key
from pixmill_shared.storage.objects import Objects, writing
from pixmill_shared.storage.store import SignedPut

_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")
Bucket = S3Store | GCSStore | AzureStore
_LEAST: Final = datetime.timedelta(seconds=1)


class BucketStore(Objects):
    """An object is visible when its upload is complete.

    ``outside`` is the same bucket by the address that browsers reach it by: it signs, and makes no request.

    A killed writer leaves an unfinished multipart upload, which nobody can read and which a lifecycle rule of the
    bucket should remove (AbortIncompleteMultipartUpload).
    """

    def __init__(self, store: Bucket, outside: Bucket) -> None:
        self._bucket = store
        self._outside = outside

    def signed_url(self, key: str, expires_at: datetime.datetime, media_type: str, filename: str) -> str:
        remaining = expires_at - datetime.datetime.now(datetime.UTC)
        with writing():
            return obstore.sign(self._signing, "GET", check_key(key), max(remaining, _LEAST))

    def signed_put(self, key: str, expires_at: datetime.datetime, media_type: str) -> SignedPut:
        remaining = expires_at - datetime.datetime.now(datetime.UTC)
        with writing():
            url = obstore.sign(self._signing, "PUT", check_key(key), max(remaining, _LEAST))
        headers = {"Content-Type": media_type}
        if isinstance(self._bucket, AzureStore):
            headers["x-ms-blob-type"] = "BlockBlob"
        return SignedPut(url, headers)

    def remove_unfinished(self, before: datetime.datetime) -> int:
        """Nothing: the library lists no unfinished uploads."""
        return 0

    @property
    def _signing(self) -> Any:
        # With keys of the machine even signing asks for them, by the library's threads.
        enter_library()
        return self._outside

    @property
    def _client(self) -> Any:
        return self._bucket

    def _attributes(self, media_type: str) -> dict[str, str]:
        return {"Content-Type": media_type}

    def _media_type(self, key: str) -> str | None:
        found = obstore.get(self._store, key, options={"head": True}).attributes
        return next((str(value) for name, value in found.items() if name.lower() == "content-type"), None)

    def _is_there(self, error: FileNotFoundError) -> bool:
        # A bucket that is missing, or misspelt, must not fail jobs for good. obstore has one error for both; the
        # provider's own code is in its text.
        return not any(code in str(error) for code in _NO_BUCKET)

    def _meta(self, key: str) -> Any:
        try:
            return super()._meta(key)
        except FileNotFoundError:
            # An answer to HEAD has no body that says what is missing, the object or the bucket.
            return obstore.get(self._store, key).meta
