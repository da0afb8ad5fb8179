"""EXIF, XMP, IPTC and PNG texts as bytes: rights are read and written, what is outdated goes, damage is nothing."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain import exif, iptc, png, xmp
from pixmill_imaging.domain.rights import Rights, merged

RIGHTS = Rights("Zoë & Söhne <x>", "© 2026 Pixmill", "Agency", "Ask first", "https://example.com/terms?a=1&b=2")
THUMBNAIL = b"\xff\xd8 the picture before it was cropped \xff\xd9"


def entry(order, tag, kind, count, value):
    return struct.pack(f"{order}HHI", tag, kind, count) + value


def camera_exif(order):
    """IFD0 with orientation 6 and a link to an IFD1 with a thumbnail; an EXIF directory in Adobe RGB."""
    short, long = (lambda n: struct.pack(f"{order}HH", n, 0)), (lambda n: struct.pack(f"{order}I", n))
    first, second, photo, interoperability, thumbnail = 8, 50, 100, 140, 180
    data = bytearray(thumbnail) + THUMBNAIL
    data[:8] = (b"II*\0" if order == "<" else b"MM\0*") + long(first)
    directories = {
        first: ([entry(order, 0x0112, 3, 1, short(6)), entry(order, 0x8769, 4, 1, long(photo))], second),
        second: (
            [entry(order, 0x0201, 4, 1, long(thumbnail)), entry(order, 0x0202, 4, 1, long(len(THUMBNAIL)))],
            0,
        ),
        photo: ([entry(order, 0xA001, 3, 1, short(0xFFFF)), entry(order, 0xA005, 4, 1, long(interoperability))], 0),
        interoperability: ([entry(order, 0x0001, 2, 4, b"R03\0")], 0),
    }
    for at, (entries, after) in directories.items():
        body = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + long(after)
        data[at : at + len(body)] = body
    return bytes(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_settled_exif_is_upright_srgb_and_without_a_thumbnail(order):
    before = camera_exif(order)
    after = exif.settled(before)
    assert len(after) == len(before)
    assert struct.unpack(f"{order}H", exif.field(before, 0x0112)) == (6,)
    assert exif.field(after, 0x0112) == b""
    assert exif.field(after, 0x8769) == exif.field(before, 0x8769)
    assert b"cropped" not in after
    assert b"R98\0" in after
    assert struct.pack(f"{order}H", 0xFFFF) not in after
    # One entry, and no link to a second directory behind it.
    assert struct.unpack_from(f"{order}H", after, 8) == (1,)
    assert after[8 + 2 + 12 : 8 + 2 + 24 + 4] == bytes(16)


@pytest.mark.parametrize("kind", range(16))
def test_orientation_of_any_type_goes_and_its_neighbours_stay(kind):
    def block(*entries):
        return b"MM\0*" + struct.pack(">IH", 8, len(entries)) + b"".join(entries) + bytes(4)

    turned = entry(">", 0x0112, kind, 1, b"\0\6\0\6")
    make, unit = entry(">", 0x010F, 2, 4, b"abc\0"), entry(">", 0x0128, 3, 1, b"\0\2\0\0")
    assert exif.settled(block(make, turned, turned, unit)) == block(make, unit) + bytes(24)
    assert exif.settled(block(turned)) == b""


@pytest.mark.parametrize("text", ["A", "abc", "abcd", "Zoë", "x" * 999])
def test_exif_of_rights_is_read_back(text):
    rights = Rights(creator=text, notice=f"© {text}")
    assert exif.rights_of(exif.written(rights)) == rights
    assert exif.written(Rights(credit="of no use here")) == b""


def test_latin_1_of_older_cameras_is_understood():
    block = exif.written(Rights(creator="Zo??")).replace(b"Zo??", b"Zo\xeb ")
    assert exif.rights_of(block).creator == "Zoë "


@given(st.binary(max_size=200))
def test_damaged_exif_is_nothing_or_something_of_its_length(noise):
    whole = camera_exif("<")
    for data in (noise, whole[: len(noise)], whole[:30] + noise, b"MM\0*" + noise):
        assert len(exif.settled(data)) in (0, len(data))
        assert len(exif.forgiven(data)) == len(data)
        exif.rights_of(data)


def test_xmp_of_rights_is_read_back():
    assert xmp.rights_of(xmp.written(RIGHTS)) == RIGHTS
    assert xmp.rights_of(xmp.settled(xmp.written(RIGHTS))) == RIGHTS
    assert xmp.written(Rights()) == b""


XMP = """<?xpacket begin='\ufeff' id='W5M0'?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" tiff:Orientation="6" hdrgm:Version="1.0"
 photoshop:Credit="Agency" xmp:Rating="5"><tiff:Orientation>6</tiff:Orientation><xmp:Thumbnails>base64</xmp:Thumbnails>
 <dc:creator><rdf:Seq><rdf:li>One</rdf:li><rdf:li>Two</rdf:li></rdf:Seq></dc:creator>
 <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">Mine</rdf:li>
 <rdf:li xml:lang="de">Meins</rdf:li></rdf:Alt></dc:rights>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>""".encode()


def test_rights_are_found_as_attributes_lists_and_languages():
    assert xmp.rights_of(XMP) == Rights(creator="One, Two", notice="Mine", credit="Agency")


def test_settled_xmp_loses_what_is_not_so_any_more_and_keeps_the_rest():
    after = xmp.settled(XMP)
    for outdated in (b"Orientation", b"Thumbnails", b"hdr-gain-map", b"hdrgm"):
        assert outdated in XMP
        assert outdated not in after
    for lasting in (b'xmp:Rating="5"', b"<x:xmpmeta", b"<rdf:li>Two</rdf:li>"):
        assert lasting in after


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<x",
        b"\xff\xfe<",
        b"<a/>" * 2,
        b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        b"<a>" + b"x" * 1_000_001 + b"</a>",
    ],
)
def test_packet_that_cannot_be_read_is_nothing(packet):
    assert xmp.settled(packet) == b""
    assert xmp.rights_of(packet) == Rights()


@given(st.text(max_size=60))
def test_any_text_survives_or_is_a_line_of_it(text):
    rights = merged(Rights(creator=text, notice="n"))
    assert "\n" not in rights.creator
    assert xmp.rights_of(xmp.written(rights)) == rights


def test_iptc_records_give_rights():
    def record(number, text):
        return bytes((0x1C, 2, number)) + len(text).to_bytes(2, "big") + text

    records = record(80, b"One") + record(80, b"Two") + record(110, b"Agency") + record(116, "©".encode("latin-1"))
    assert iptc.rights_of(records) == Rights(creator="One, Two", credit="Agency", notice="©")
    assert iptc.rights_of(records[:4]) == Rights()
    assert iptc.rights_of(b"\x1c\x02\x50\xff\xffshort").creator == "short"


def test_first_source_that_says_something_counts():
    assert merged(Rights(creator=" \n"), Rights(creator="b\0c", notice="n"), Rights(creator="d")) == Rights("b c", "n")


def test_png_texts_are_found_behind_the_pixels_and_no_bomb_opens():
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    data = (
        png.SIGNATURE
        + chunk(b"IDAT", b"pixels")
        + chunk(b"tEXt", b"Author\0Zo\xeb")
        + chunk(b"zTXt", b"Copyright\0\0" + zlib.compress(b"Mine"))
        + chunk(b"zTXt", b"Bomb\0\0" + zlib.compress(bytes(5_000_000)))
        + chunk(b"zTXt", b"Broken\0\0no zlib")
        + chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x/>"))
        + chunk(b"eXIf", b"II*\0")
    )
    blocks = png.text_blocks(data + b"\xff" * 9)
    assert (blocks.exif, blocks.xmp) == (b"II*\0", b"<x/>")
    assert blocks.texts["Author"] == "Zoë"
    assert (blocks.texts["Copyright"], blocks.texts["Broken"]) == ("Mine", "")
    assert len(blocks.texts["Bomb"]) == 1_000_000
