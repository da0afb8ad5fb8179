"""What of a source's metadata is in the outputs, for every policy, container and loader. Outputs are searched as raw
bytes too: a reader would only find what it looks for.
"""

import io
import re
import struct

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin

from pixmill_imaging.domain import xmp
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.rights import Rights
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, photo
from pixmill_shared.domain.recipe import parse_recipe

FORMATS = ("jpeg", "png", "webp", "avif", "gif")
RIGHTS = Rights("Zoe Photographer", "(c) 2026 Pixmill", terms="Ask first")
TRACES = (b"Exif", b"GPS", b"http://ns.adobe.com/xap", b"Photoshop 3.0", b"ICC_PROFILE", b"iCCP", b"8BIM", b"secret")
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


def camera_exif():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "secret camera"
    exif[ExifTags.Base.Artist] = RIGHTS.creator
    exif[ExifTags.Base.Copyright] = RIGHTS.notice
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "secret GPS"
    return exif


def packet():
    whole = xmp.written(RIGHTS).decode()
    return whole.replace("<rdf:Description ", '<rdf:Description xmlns:s="http://secret/" s:where="secret" ').encode()


def iptc_segment():
    record = b"\x1c\x02\x50\x00\x0cIptc person \x1c\x02\x5a\x00\x06secret"
    body = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def sources():
    picture = photo(48, 64, seed=3)
    every = {"exif": camera_exif().tobytes(), "xmp": packet(), "icc_profile": ICC}
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "secret comment")
    texts.add_itxt("XML:com.adobe.xmp", packet().decode())
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[315], tags[33432], tags[271], tags[700] = RIGHTS.creator, RIGHTS.notice, "secret camera", packet()
    jpeg = encoded(picture, "JPEG", **every, comment=b"secret comment", extra=iptc_segment())
    return {
        "jpeg": jpeg,
        "png": encoded(picture, "PNG", exif=every["exif"], icc_profile=ICC, pnginfo=texts),
        "webp": encoded(picture, "WEBP", **every),
        "avif": encoded(picture, "AVIF", **every),
        "gif": gif_with_xmp(picture),
        "tiff": encoded(picture, "TIFF", tiffinfo=tags),
    }


def gif_with_xmp(picture):
    plain = encoded(picture, "GIF", comment=b"secret comment")
    end = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return plain[:-1] + b"\x21\xff\x0bXMP DataXMP" + packet() + end + b";"


def made(data, loader, policy):
    wanted = [{"name": name, "format": name, "metadata": policy} for name in FORMATS]
    return list(render(data, parse_recipe({"outputs": wanted}), loader, PixelLimits()).outputs())


def outputs(data, loader, policy):
    """What can be read, too."""
    written = made(data, loader, policy)
    for output in written:
        with Image.open(io.BytesIO(output.data)) as image:
            image.load()
            assert image.size == (output.width, output.height)
    return written


def exif_of(output):
    with Image.open(io.BytesIO(output.data)) as image:
        return image.getexif()


def xmp_in(data):
    found = re.search(rb"<x:xmpmeta.*</x:xmpmeta>", data, re.DOTALL)
    return found.group() if found else b""


@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "avif", "gif", "tiff"])
def test_nothing_is_left_unless_it_is_asked_for(loader, source):
    data = sources()[source]
    assert b"secret" in data
    for output in outputs(data, loader, "strip"):
        for trace in (*TRACES, b"Zoe", b"XMP", b"xmp", b"eXIf", b"EXIF", b"iTXt", b"tEXt", b"Artist"):
            assert trace not in output.data, (output.name, trace)
        assert not exif_of(output)


@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "avif", "gif", "tiff"])
def test_rights_are_kept_and_nothing_else(loader, source):
    for output in outputs(sources()[source], loader, "keep_copyright"):
        for trace in (b"GPS", b"secret", b"ICC_PROFILE", b"iCCP", b"Photoshop 3.0"):
            assert trace not in output.data, (output.name, trace)
        assert xmp.rights_of(xmp_in(output.data)) == RIGHTS, output.name
        if output.format != "gif":
            exif = dict(exif_of(output))
            assert exif == {ExifTags.Base.Artist: RIGHTS.creator, ExifTags.Base.Copyright: RIGHTS.notice}, output.name
            assert not exif_of(output).get_ifd(ExifTags.IFD.GPSInfo)


def test_rights_of_iptc_alone_are_kept_too(loader):
    data = encoded(photo(48, 64), "JPEG", extra=iptc_segment())
    for output in outputs(data, loader, "keep_copyright"):
        assert xmp.rights_of(xmp_in(output.data)) == Rights(creator="Iptc person")
        assert b"secret" not in output.data


@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "avif"])
def test_keep_keeps_all_but_the_orientation_that_is_done(loader, source):
    for output in outputs(sources()[source], loader, "keep"):
        assert (output.width, output.height) == (64, 48)
        assert b"secret" in xmp_in(output.data), output.name
        assert b"ICC_PROFILE" not in output.data
        if output.format == "gif":
            continue
        exif = exif_of(output)
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        assert exif[ExifTags.Base.Make] == "secret camera"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] == "secret GPS"


def test_keep_of_a_tiff_keeps_what_describes_the_picture_and_not_the_file(loader):
    output = outputs(sources()["tiff"], loader, "keep")[0]
    assert dict(exif_of(output)) == {
        ExifTags.Base.Make: "secret camera",
        ExifTags.Base.Artist: RIGHTS.creator,
        ExifTags.Base.Copyright: RIGHTS.notice,
    }


def test_jpeg_keeps_iptc_and_comment_of_a_jpeg(loader):
    jpeg = outputs(sources()["jpeg"], loader, "keep")[0]
    with Image.open(io.BytesIO(jpeg.data)) as image:
        assert image.info["comment"] == b"secret comment"
        assert image.info["photoshop"][0x0404].startswith(b"\x1c\x02\x50\x00\x0cIptc person")


@pytest.mark.parametrize("policy", ["keep", "keep_copyright"])
@pytest.mark.parametrize(
    "block", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_metadata_fails_no_job(loader, policy, block):
    data = encoded(photo(48, 64), "JPEG", exif=block, xmp=b"<x:xmpmeta", extra=b"\xff\xed\0\x10Photoshop 3.0\0")
    for output in outputs(data, loader, policy):
        assert b"xmpmeta" not in output.data


@pytest.mark.parametrize("kind", [1, 3, 4, 8, 9], ids=["byte", "short", "long", "signed-short", "signed-long"])
def test_kept_orientation_of_no_type_turns_the_output_again(loader, kind):
    value = b"\6\0\0\0" if kind == 1 else b"\0\6\0\0" if kind in (3, 8) else b"\0\0\0\6"
    for output in outputs(with_entries((0x010F, 2, 4, b"abc\0"), (0x0112, kind, 1, value)), loader, "keep"):
        assert exif_of(output).get(ExifTags.Base.Orientation, 1) == 1, output.name
        assert output.format == "gif" or exif_of(output)[ExifTags.Base.Make] == "abc"


@pytest.mark.parametrize("kind", range(1, 14))
def test_kept_entries_of_a_type_that_is_not_theirs_fail_no_output(loader, kind):
    """A unit of resolution that is a text or a fraction, as broken programs write it."""
    data = with_entries((0x0112, 3, 1, b"\0\6\0\0"), (0x0128, kind, 1, b"\xff\xff\xff\xff"))
    assert [(output.width, output.height) for output in made(data, loader, "keep")] == [(64, 48)] * len(FORMATS)


def with_entries(*entries):
    """A JPEG with these in its EXIF, as big-endian tag, type, count and value; orientation 6 makes it 64x48."""
    packed = b"".join(struct.pack(">HHI4s", *entry) for entry in entries)
    block = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, len(entries)) + packed + bytes(4)
    return encoded(photo(48, 64), "JPEG", exif=block)


def test_metadata_that_a_jpeg_cannot_hold_is_left_out(loader):
    huge = encoded(photo(48, 64), "WEBP", exif=camera_exif().tobytes() + bytes(70_000), xmp=packet() + b" " * 70_000)
    jpeg, png, *_ = outputs(huge, loader, "keep")
    assert b"Exif" not in jpeg.data
    assert exif_of(png)[ExifTags.Base.Make] == "secret camera"


def test_frames_of_an_animation_have_no_metadata_either(loader):
    frames = [photo(48, 64, seed=seed) for seed in (1, 2, 3)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 90}
    for data in (
        encoded(frames[0], "WEBP", **moving, exif=camera_exif().tobytes(), xmp=packet()),
        encoded(frames[0], "PNG", **moving, exif=camera_exif().tobytes()),
        encoded(frames[0], "GIF", **moving, comment=b"secret"),
    ):
        for output in outputs(data, loader, "strip"):
            assert output.frames == (1 if output.format == "jpeg" else 3)
            for trace in (*TRACES, b"Zoe", b"XMP"):
                assert trace not in output.data, (output.name, trace)
