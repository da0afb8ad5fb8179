"""Keys for tests, made as the command makes them."""

from collections.abc import Collection
from typing import Any

from tests.integration.api.running import Api

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import CreatedKey, KeyOptions, create_key
from pixmill_shared.service.sealing import Sealer

SEALER = Sealer(["a key for tests only, 0123456789"])
"""With the key of ``running.environment``."""


def made_key(
    api: Api, project: str = "default", scopes: Collection[Scope] = tuple(Scope), **options: Any
) -> CreatedKey:
    """A row in the database of ``api``; ``options`` are those of ``KeyOptions``."""
    database = Database(api.database_url)
    try:
        with database.session_scope() as session:
            return create_key(
                session, SEALER, project=project, name="test", scopes=scopes, options=KeyOptions(**options)
            )
    finally:
        database.dispose()


def bearing(key: CreatedKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.token}"}
