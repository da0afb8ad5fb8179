"""Which methods a path has. A router that finds none for a request knows only those of the first route of the path."""

from collections import defaultdict

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts


def allowed_methods(app: FastAPI, path: str) -> set[str]:
    """Of the template with the fewest parameters that ``path`` fits: ``/replay`` before ``/{id}``."""
    methods: dict[str, set[str]] = defaultdict(set)
    for route in iter_route_contexts(app.routes):
        template = route.path
        if template is not None and route.methods and route.path_regex.match(path):
            methods[template] |= route.methods
    return methods[min(methods, key=lambda template: template.count("{"))] if methods else set()
