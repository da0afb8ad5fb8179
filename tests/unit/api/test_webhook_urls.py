"""URLs of receivers: what is taken is what is kept, and can be sent to."""

import pytest
from pydantic import ValidationError

from pixmill_api.webhook_schemas import LONGEST_URL, EndpointRequest
from pixmill_shared.egress.urls import parse_url

BASE = "http://example.com/"


@pytest.mark.parametrize("path", ["", "ä" * 10, "a" * (LONGEST_URL - len(BASE)), "%C3%A4?q=ü"])
def test_url_that_is_taken_is_kept_as_it_is_sent(path: str) -> None:
    kept = EndpointRequest(url=BASE + path).url
    assert kept == str(parse_url(kept)) == str(parse_url(BASE + path))
    assert len(kept) <= LONGEST_URL


@pytest.mark.parametrize("path", ["a" * (LONGEST_URL - len(BASE) + 1), "ä" * 1_900, "ä" * 400])
def test_url_that_is_too_long_as_it_is_sent_is_refused_when_it_is_given(path: str) -> None:
    with pytest.raises(ValidationError, match="2000 characters"):
        EndpointRequest(url=BASE + path)
