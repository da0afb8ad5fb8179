"""The images that a recipe's watermarks name: looked up once, when the job is made, and pinned by their digests.

So a rendition's address depends on the bytes of the watermark and not on the id that they came in under.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from sqlalchemy.orm import Session

from pixmill_api.errors import InvalidRequest
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import ImageMark, Operation, Recipe, Watermark
from pixmill_shared.repositories import uploads


def with_digests(
    session: Session, project: str, recipe: Recipe, error: Callable[[str, str], JsonError] = JsonError
) -> Recipe:
    """The same recipe with the sha256 of every watermark's image.

    Raises InvalidRequest with an error for each that is no upload of the project, or not the one that it says it is;
    ``error`` makes it of a pointer into the recipe and a detail.
    """
    marks = dict(_marks(recipe))
    if not marks:
        return recipe
    found = uploads.digests(session, project, uploads_named_by(recipe))
    digests = {str(upload_id): sha256 for upload_id, sha256 in found.items()}
    wrong = [error(*found) for at, mark in marks.items() for found in _wrong(at, mark, digests)]
    if wrong:
        raise InvalidRequest(wrong)
    return Recipe(
        tuple(
            replace(output, operations=tuple(_pinned(step, digests) for step in output.operations))
            for output in recipe.outputs
        )
    )


def uploads_named_by(recipe: Recipe) -> set[uuid.UUID]:
    """The ids of the images of all watermarks."""
    return {uuid.UUID(mark.upload_id) for _, mark in _marks(recipe)}


def _marks(recipe: Recipe) -> Iterator[tuple[str, ImageMark]]:
    """With their pointers in the recipe."""
    for i, output in enumerate(recipe.outputs):
        for j, step in enumerate(output.operations):
            if isinstance(step, Watermark) and isinstance(step.mark, ImageMark):
                yield f"/outputs/{i}/operations/{j}/image", step.mark


def _wrong(at: str, mark: ImageMark, digests: dict[str, str]) -> Iterator[JsonError]:
    if mark.upload_id not in digests:
        yield JsonError(f"{at}/upload_id", "there is no such upload")
    elif mark.sha256 not in (None, digests[mark.upload_id]):
        yield JsonError(f"{at}/sha256", "is not that of the upload")


def _pinned(step: Operation, digests: dict[str, str]) -> Operation:
    if isinstance(step, Watermark) and isinstance(step.mark, ImageMark):
        return step.pinned(digests[step.mark.upload_id])
    return step
