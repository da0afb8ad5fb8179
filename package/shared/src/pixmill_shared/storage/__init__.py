"""Objects: uploads, fetched sources and renditions, in a directory or a bucket."""

from pixmill_shared.storage.store import ObjectInfo, ObjectNotFound, ObjectStore, StorageUnavailable
from pixmill_shared.storage.wiring import open_store

__all__ = ["ObjectInfo", "ObjectNotFound", "ObjectStore", "StorageUnavailable", "open_store"]
