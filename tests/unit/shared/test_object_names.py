"""The names of pixmill's objects: every store can hold them, and they tell the row that names them."""

import uuid

import pytest

from pixmill_shared.domain import objects
from pixmill_shared.domain.ids import new_id
from pixmill_shared.storage.keys import check_key

ADDRESS = "c0ffee" + "0" * 58


def names(number: uuid.UUID) -> dict[str, str]:
    return {
        "source": objects.source_name(number, 12),
        "upload": objects.upload_name(number),
        "rendition": objects.rendition_name(ADDRESS, number, "webp"),
        "probe": objects.probe_name(number),
    }


def test_name_tells_what_it_is_of() -> None:
    number = new_id()
    name = names(number)
    assert [kind for kind in name if objects.is_source(name[kind])] == ["source"]
    assert [kind for kind in name if objects.is_probe(name[kind])] == ["probe"]
    assert {kind: objects.upload_of(name[kind]) for kind in name if kind != "upload"} == dict.fromkeys(
        ["source", "rendition", "probe"]
    )
    assert objects.upload_of(name["upload"]) == number
    assert [kind for kind in name if objects.rendition_key_of(name[kind])] == ["rendition"]
    assert objects.rendition_key_of(name["rendition"]) == ADDRESS


@pytest.mark.parametrize("kind", ["source", "upload", "rendition", "probe"])
def test_object_is_below_one_of_the_prefixes_and_its_name_is_good_for_every_store(kind: str) -> None:
    name = names(new_id())[kind]
    assert check_key(name) == name
    assert len([prefix for prefix in objects.PREFIXES if name.startswith(f"{prefix}/")]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "uploads/", "uploads/x", "uploads/{id}.png", "uploads/{id}/1", "x/uploads/{id}", "uploads/{ID}",
        "sources/{id}", "sources/{id}/", "sources/{id}/-1", "sources/{id}/1/2",
        "renditions/c0/{id}.webp",
        "renditions/c1/c0ffee/{id}.webp", "renditions/c0/c0ffee/{id}", "renditions/c0/c0ffee/x.webp",
        "probes/x", "uploads/{id}\n",
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_none_of_ours(name: str) -> None:
    number = new_id()
    name = name.replace("{id}", str(number)).replace("{ID}", str(number).upper())
    assert not objects.is_source(name)
    assert not objects.is_probe(name)
    assert objects.upload_of(name) is None
    assert objects.rendition_key_of(name) is None
