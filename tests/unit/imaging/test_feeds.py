"""Lists that others publish: what is taken of them, and what hostile ones do not bring about."""

import json
import time
import tracemalloc

import pytest

from pixmill_imaging.domain.feeds import FeedError, Found, read_json_list, read_url_list, read_xml_feed

BASE = "https://news.example/feeds/photos.xml"

RSS = b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>T</title>
<item><guid>a-1</guid><enclosure url="https://cdn.example/a.jpg" type="image/jpeg" length="1"/></item>
<item><enclosure url="/b.png?size=2" length="1"/></item>
<item><guid>c</guid><enclosure url="https://cdn.example/talk.mp3" type="audio/mpeg"/></item>
<item><guid>d</guid><media:group><media:content url="https://cdn.example/d" medium="image"/>
<media:content url="https://cdn.example/d2.webp"/><media:content url="https://cdn.example/d" medium="image"/>
</media:group><media:content url="https://cdn.example/d.mp4" medium="video"/></item>
<item><guid>a-1</guid><enclosure url="https://cdn.example/a.jpg?again" type="image/jpeg"/></item>
</channel></rss>"""

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><id>feed</id>
<entry><id>tag:1</id><source><id>other</id></source><link rel="alternate" href="https://x.example/page"/>
<link rel="enclosure" type="image/png" href="one.png"/></entry>
<entry><id>tag:2</id><link rel="enclosure" type="application/pdf" href="two.pdf"/></entry></feed>"""


def test_rss_gives_enclosures_and_media_once_each_by_their_guids() -> None:
    found = read_xml_feed(RSS, BASE)
    assert found.items == [
        Found("a-1", "https://cdn.example/a.jpg"),
        Found("https://news.example/b.png?size=2", "https://news.example/b.png?size=2"),
        Found("d", "https://cdn.example/d"),
        Found("d https://cdn.example/d2.webp", "https://cdn.example/d2.webp"),
    ]
    assert found.skipped == 1


def test_atom_gives_links_that_are_enclosures() -> None:
    found = read_xml_feed(ATOM, BASE)
    assert found.items == [Found("tag:1", "https://news.example/feeds/one.png")]
    assert found.skipped == 1


def test_feed_in_another_encoding_is_read_as_it_says() -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><rss><channel><item><guid>ö</guid>'
    text += '<enclosure url="https://x.example/a.jpg"/></item></channel></rss>'
    assert read_xml_feed(text.encode("latin-1"), BASE).items[0].key == "ö"


_LAUGHS = "".join(f'<!ENTITY l{i} "{(chr(38) + f"l{i - 1};") * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    "data",
    [
        f'<!DOCTYPE rss [<!ENTITY l0 "lol">{_LAUGHS}]><rss><channel><item><guid>&l9;</guid></item></channel></rss>',
        f'<!DOCTYPE rss [<!ENTITY a "{"a" * 50_000}">]><rss><title>{"&a;" * 50_000}</title></rss>',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item><guid>&x;</guid></item></rss>',
        '<!DOCTYPE rss [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><rss></rss>',
        "<a>" * 100_000,
        "<rss>" + "<a>" * 200 + "</a>" * 200 + "</rss>",
        '<?xml version="1.0" encoding="utf-8"?><rss>\udcff</rss>',
        '<?xml version="1.0" encoding="nonsense"?><rss></rss>',
        '<?xml version="1.0" encoding="idna"?><rss></rss>',
        '<?xml version="1.0" encoding="utf-16"?><rss></rss>',
        "<html><body>not found</body></html>",
        '{"items": []}',
        "",
    ],
    ids=[
        *("billion laughs", "quadratic", "external entity", "parameter entity", "open tags", "deep", "no utf-8"),
        *("unknown encoding", "odd encoding", "wrong encoding", "html", "json", "empty"),
    ],
)
def test_hostile_or_foreign_xml_is_refused_at_once(data: str) -> None:
    raw = data.encode("utf-8", errors="surrogateescape")
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(FeedError):
            read_xml_feed(raw, BASE)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 5


def test_no_more_than_a_bound_is_taken_of_a_huge_list() -> None:
    data = json.dumps([f"https://x.example/{n}.jpg" for n in range(20_001)]).encode()
    found = read_json_list(data, BASE)
    assert (len(found.items), found.cut) == (20_000, True)


def test_json_feed_gives_images_and_attachments() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [
            {"id": "1", "image": "https://x.example/1.jpg"},
            {
                "id": 2,
                "attachments": [{"url": "2", "mime_type": "image/png"}, {"url": "2.mp3", "mime_type": "audio/x"}],
            },
            {"id": "3"},
            "no object",
        ],
    }
    found = read_json_list(json.dumps(feed).encode(), BASE)
    assert found.items == [Found("1", "https://x.example/1.jpg"), Found("2", "https://news.example/feeds/2")]
    assert found.skipped == 2


def test_plain_json_is_read_where_pointers_say() -> None:
    document = {"data": {"a/b": [{"src": {"large": "https://x.example/l.jpg"}, "n": 7}, {"src": {}}, 5, None]}}
    found = read_json_list(json.dumps(document).encode(), BASE, items="/data/a~1b", image="/src/large", key="/n")
    assert found.items == [Found("7", "https://x.example/l.jpg")]
    assert found.skipped == 3


@pytest.mark.parametrize(
    "data",
    [b"[" * 200_000, b"{}", b'{"items": {}}', b"\xff\xfe", b"<rss/>", b"null", b"[1" + b"1" * 5_000 + b"]"],
    ids=["deep", "no list", "object", "encoding", "xml", "null", "long number"],
)
def test_json_without_a_list_is_refused(data: bytes) -> None:
    with pytest.raises(FeedError):
        read_json_list(data, BASE, items="/items")


def test_addresses_that_lead_elsewhere_are_skipped() -> None:
    wrong = [
        "",
        "ftp://x/a",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "http://[::1",
        "https://x/\u0000a",
    ]
    found = read_json_list(json.dumps([*wrong, "https://x.example/a.jpg#part"]).encode(), BASE)
    assert found.items == [Found("https://x.example/a.jpg", "https://x.example/a.jpg")]
    assert found.skipped == len(wrong)


def test_key_that_cannot_be_kept_is_kept_as_its_digest() -> None:
    entries = [{"id": "k" * 501, "url": "https://x.example/a"}, {"id": "a\u0000\ud800", "url": "https://x.example/b"}]
    found = read_json_list(json.dumps(entries).encode(), BASE)
    assert found.items[0].key.startswith("sha256:")
    assert found.items[1].key == "a\ufffd?"


def test_url_list_has_a_url_a_line() -> None:
    found = read_url_list("\ufeff# ours\r\nhttps://x.example/1.jpg\r\n\r\n  https://x.example/2 \nno url\n".encode())
    assert [each.location for each in found.items] == ["https://x.example/1.jpg", "https://x.example/2"]
    assert found.skipped == 1


@pytest.mark.parametrize("data", [b"\xff\xfe", b"<html>\nno list\n</html>"], ids=["encoding", "html"])
def test_text_without_urls_is_no_list(data: bytes) -> None:
    with pytest.raises(FeedError):
        read_url_list(data)
