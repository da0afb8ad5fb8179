"""What of an answer is kept: whatever the receiver repeats, and however it writes it, no secret of the request."""

import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from pixmill_notifier.domain.excerpt import KEPT, READ, excerpt_of, secrets_of

VALUE = 'Bearer hunter2/of&that="so" <it>+1%\\'
SIGNED = "https://files.example/a.jpg?expires=17&signature=SIGNED-BY_US"
OWN = "https://their.example/hook?key=the%2Fown&x=%C3%A4"
SECRETS = secrets_of([VALUE], OWN)


def go(text: str) -> str:
    return json.dumps(text).translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&='?+"})


def php(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "url": quote,
    "url, all of it": lambda text: quote(text, safe=""),
    "url, small": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%3F", "%3f"),
    "url, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "json": json.dumps,
    "json of Go": go,
    "json of PHP": php,
    "json, twice": lambda text: json.dumps(json.dumps(text)),
    "json, three times": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "json of Go, twice": lambda text: json.dumps(go(text)),
    "json of PHP, twice": lambda text: php(php(text)),
    "json in html": lambda text: html.escape(json.dumps(text)),
    "html": html.escape,
    "html, numbers": lambda text: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in text),
    "html, hex": lambda text: "".join(c if c.isalnum() else f"&#x{ord(c):X};" for c in text),
    "loud": str.upper,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_receiver_repeats_is_left_out(way: str) -> None:
    kept = excerpt_of(f"before {WAYS[way](VALUE)} between {WAYS[way](SIGNED)} after", SECRETS)
    assert "hunter2" not in kept.lower()
    assert "signed" not in kept.lower()
    assert re.sub(r'\\|"|&quot;', "", kept).startswith("before … between ")


@pytest.mark.parametrize("word", [VALUE.partition(" ")[2], "the/own", "the%2Fown"])
def test_token_without_its_scheme_and_a_value_of_the_receivers_own_query_are_left_out(word: str) -> None:
    assert excerpt_of(f'{{"wrong": "{word}"}}', SECRETS) == '{"wrong": "…"}'


def test_what_is_no_secret_is_kept() -> None:
    words = "What? a=b, 1 + 1 = 2: the receiver has no such hook"
    assert excerpt_of(words, secrets_of(["1"], "https://their.example/hook")) == words.replace("1", "…")
    assert excerpt_of("v11 seventeen", secrets_of(["1", "7"], OWN)) == "v11 seventeen"
    assert excerpt_of(words, ()) == words
    assert excerpt_of("", SECRETS) == ""


def test_secret_over_the_end_of_what_is_kept_is_left_out_whole() -> None:
    kept = excerpt_of("x" * (KEPT - 6) + VALUE + "y" * 100, SECRETS)
    assert kept == "x" * (KEPT - 6) + "…"


def test_secret_whose_end_was_not_read_is_not_kept_because_others_before_it_are_left_out() -> None:
    token = "Bearer " + "".join(chr(97 + number * 7 % 26) for number in range(1_993))
    kept = excerpt_of(json.dumps([token] * 5)[:READ], secrets_of([token], OWN))
    assert kept == '["…", "…'


@pytest.mark.parametrize("value", ["\\\\share\\x\\\\y", 'a\\/b=\\"c', "\\" * 8 + "end"])
def test_rows_of_backslashes_are_left_out(value: str) -> None:
    for way in (str, json.dumps, php, go, lambda text: json.dumps(go(text)), quote, html.escape):
        assert re.sub(r'\\|"', "", excerpt_of(f"say {way(value)}.", secrets_of([value], OWN))) == "say …."


@pytest.mark.parametrize("unit", ["%3f", "?", "%3f%3d", "a", "%25", "?a", "&#x0", "\\", "\\u", "\\u005c"])
def test_answer_that_is_made_to_be_slow_is_not(unit: str) -> None:
    text = (unit * 8_192)[:8_192]
    secrets = [*SECRETS, "&" * 2_000, "a" * 2_000, "\\" * 60 + "x", "\\u" * 300]
    excerpt_of("", secrets)  # the pattern is made once, of what the receiver has no say in
    begun = time.process_time()
    excerpt_of(text, secrets)
    assert time.process_time() - begun < 5
