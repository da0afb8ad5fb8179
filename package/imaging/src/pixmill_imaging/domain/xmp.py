"""XMP packets (ISO 16684): RDF in XML, in UTF-8. A packet with a document type is none: it could grow without end."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from pixmill_imaging.domain.rights import Rights

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC: Final = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP: Final = "http://ns.adobe.com/photoshop/1.0/"
_RIGHTS: Final = "http://ns.adobe.com/xap/1.0/rights/"
_XMP: Final = "http://ns.adobe.com/xap/1.0/"
_TIFF: Final = "http://ns.adobe.com/tiff/1.0/"
_EXIF: Final = "http://ns.adobe.com/exif/1.0/"
_NOTE: Final = "http://ns.adobe.com/xmp/note/"

#: Names that readers expect; the library would number them. A fixed list, because it remembers them for ever.
_PREFIXES: Final = {
    "x": "adobe:ns:meta/",
    "rdf": _RDF,
    "dc": _DC,
    "photoshop": _PHOTOSHOP,
    "xmp": _XMP,
    "xmpRights": _RIGHTS,
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "tiff": _TIFF,
    "exif": _EXIF,
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}
for _prefix, _uri in _PREFIXES.items():
    ET.register_namespace(_prefix, _uri)

#: What is no longer so, or shows another picture, or speaks of parts of the source's file that are not in ours.
_OUTDATED: Final = {
    f"{{{_TIFF}}}Orientation",
    f"{{{_TIFF}}}ImageWidth",
    f"{{{_TIFF}}}ImageLength",
    f"{{{_EXIF}}}PixelXDimension",
    f"{{{_EXIF}}}PixelYDimension",
    f"{{{_EXIF}}}ColorSpace",
    f"{{{_PHOTOSHOP}}}ICCProfile",
    f"{{{_XMP}}}Thumbnails",
    f"{{{_NOTE}}}HasExtendedXMP",
}
#: Gain maps, depth maps and videos behind the picture.
_OUTDATED_NAMESPACES: Final = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.google.com/photos/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
)
_MOST_BYTES: Final = 1_000_000


def rights_of(packet: bytes) -> Rights:
    """Empty if the packet cannot be read."""
    root = _parsed(packet)
    if root is None:
        return Rights()
    texts = dict(_properties(root))
    return Rights(
        creator=texts.get(f"{{{_DC}}}creator", ""),
        notice=texts.get(f"{{{_DC}}}rights", ""),
        credit=texts.get(f"{{{_PHOTOSHOP}}}Credit", ""),
        terms=texts.get(f"{{{_RIGHTS}}}UsageTerms", ""),
        url=texts.get(f"{{{_RIGHTS}}}WebStatement", ""),
    )


def settled(packet: bytes) -> bytes:
    """The same packet for other pixels; empty if it cannot be read."""
    root = _parsed(packet)
    if root is None:
        return b""
    for element in root.iter():
        for name in [name for name in element.attrib if _is_outdated(name)]:
            del element.attrib[name]
        for child in [child for child in element if _is_outdated(child.tag)]:
            element.remove(child)
    return _packed(ET.tostring(root, encoding="unicode"))


def written(rights: Rights) -> bytes:
    """A packet of the rights alone; empty if there are none."""
    if not rights:
        return b""
    parts = (
        _part("dc:creator", "Seq", "", rights.creator),
        _part("dc:rights", "Alt", ' xml:lang="x-default"', rights.notice),
        _part("xmpRights:UsageTerms", "Alt", ' xml:lang="x-default"', rights.terms),
        _simple("photoshop:Credit", rights.credit),
        _simple("xmpRights:WebStatement", rights.url),
    )
    return _packed(
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" '
        f'xmlns:dc="{_DC}" xmlns:photoshop="{_PHOTOSHOP}" xmlns:xmpRights="{_RIGHTS}">'
        f"{''.join(parts)}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def _part(name: str, kind: str, attributes: str, text: str) -> str:
    item = f"<rdf:{kind}><rdf:li{attributes}>{escape(text)}</rdf:li></rdf:{kind}>"
    return f"<{name}>{item}</{name}>" if text else ""


def _simple(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""


def _packed(text: str) -> bytes:
    identity = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{identity}{text}<?xpacket end="r"?>'.encode()


def _parsed(packet: bytes) -> ET.Element | None:
    if len(packet) > _MOST_BYTES:
        return None
    try:
        text = packet.decode("utf-8").strip("\0 \r\n\t\ufeff")
        if "<!" in text.replace("<![CDATA[", "").replace("<!--", ""):
            return None
        # Without a document type there are no entities to expand.
        return ET.fromstring(text)  # noqa: S314
    except (UnicodeDecodeError, ET.ParseError, ValueError):
        return None


def _properties(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Names and texts, of properties as elements and as attributes; of lists the items, of languages the first."""
    for description in root.iter(f"{{{_RDF}}}Description"):
        yield from description.attrib.items()
        for element in description:
            items = [item.text or "" for item in element.iter(f"{{{_RDF}}}li")]
            if element.find(f"{{{_RDF}}}Alt") is not None:
                items = items[:1]
            yield element.tag, ", ".join(items) if items else element.text or ""


def _is_outdated(name: str) -> bool:
    return name in _OUTDATED or name[1:].startswith(_OUTDATED_NAMESPACES)
