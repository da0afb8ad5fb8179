"""Addresses in the users' own storage: whether a job may have them, and in the form that its row keeps."""

from collections.abc import Iterator

from pixmill_api.auth import Context
from pixmill_api.errors import InvalidRequest
from pixmill_api.service.presets import ResolvedRecipe
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.places import InvalidPlace, Place
from pixmill_shared.domain.recipe import longest_key
from pixmill_shared.storage.places import PlaceNotAllowed, Places


def source_address(context: Context, key: str | None) -> str | None:
    """The whole address of a source. A key alone is below the only prefix that is allowed. Raises InvalidRequest."""
    if key is None:
        return None
    places = context.runtime.sources
    try:
        place = _allowed(places, Place.parse(key) if "://" in key else _only(places).below(key))
    except InvalidPlace as error:
        raise InvalidRequest([JsonError("/source/key", str(error))]) from None
    if place in places.allowed:
        raise InvalidRequest([JsonError("/source/key", "must name an object, not a prefix alone")])
    return str(place)


def source_prefix(context: Context, prefix: str) -> str:
    """The whole address of a prefix that is watched. Raises InvalidRequest."""
    try:
        return str(_allowed(context.runtime.sources, Place.parse(prefix)))
    except InvalidPlace as error:
        raise InvalidRequest([JsonError("/source/prefix", str(error))]) from None


def destination_address(context: Context, destination: str | None, chosen: ResolvedRecipe) -> str | None:
    """Raises InvalidRequest, also for outputs whose copies would have no name there."""
    if destination is None:
        # A preset may be meant for either.
        named = chosen.preset is not None
        aimless = [i for i, output in enumerate(chosen.recipe.outputs) if output.key is not None and not named]
        if aimless:
            detail = "goes with a destination, and the job has none"
            raise InvalidRequest([JsonError(f"/recipe/outputs/{i}/key", detail) for i in aimless])
        return None
    try:
        place = _allowed(context.runtime.destinations, Place.parse(destination))
    except InvalidPlace as error:
        raise InvalidRequest([JsonError("/destination", str(error))]) from None
    wrong = list(_too_long(place, chosen))
    if wrong:
        raise InvalidRequest(wrong)
    return str(place)


def _allowed(places: Places, place: Place) -> Place:
    """Raises InvalidPlace. Which prefixes are allowed is not told: they may be other people's buckets."""
    try:
        places.check(place)
    except PlaceNotAllowed:
        if not places.allowed:
            raise InvalidPlace(f"is not offered here: {places.variable} allows no prefix") from None
        raise InvalidPlace(f"is not under a prefix that {places.variable} allows") from None
    return place


def _only(places: Places) -> Place:
    if len(places.allowed) == 1:
        return places.allowed[0]
    if places.allowed:
        raise InvalidPlace("must be a whole address, like s3://bucket/prefix/photo.jpg")
    raise InvalidPlace(f"is not offered here: {places.variable} allows no prefix")


def _too_long(place: Place, chosen: ResolvedRecipe) -> Iterator[JsonError]:
    for i, output in enumerate(chosen.recipe.outputs):
        try:
            place.below(longest_key(output))
        except InvalidPlace as error:
            yield chosen.error("", f"/outputs/{i}/key", f"{error}, together with the destination")
