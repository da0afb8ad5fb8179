"""What an API key may do."""

from enum import StrEnum


class Scope(StrEnum):
    READ = "jobs:read"
    WRITE = "jobs:write"
    #: Everything, the other two included.
    ADMIN = "admin"
