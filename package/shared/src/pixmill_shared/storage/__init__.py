"""Objects: uploads, fetched sources and renditions, in a directory or a bucket. The one home of obstore."""

from pixmill_shared.storage.store import (
    InvalidKey,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    SignedPut,
    StorageUnavailable,
)
from pixmill_shared.storage.wiring import open_store, prepare_directory

__all__ = [
    "InvalidKey",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectStore",
    "SignedPut",
    "StorageUnavailable",
    "open_store",
    "prepare_directory",
]
