"""What a file is, whatever it is called: everything that is taken, and what is not."""

import contextlib
import struct

import pytest
from attachment_files import docx, film, office, pdf, photo, xlsx
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from tickets.attachments.media import (
    AMR,
    AMR_WB,
    DOCX,
    JPEG,
    M4A,
    MAX_NAME,
    MAX_PARTS,
    MP4,
    PDF,
    PNG,
    QUICKTIME,
    TEXT,
    THREE_GP,
    TYPES,
    WAV,
    WEBP,
    XLSX,
    MediaType,
    safe_name,
    sniff,
    without_location,
)

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><body>hi</body></html>"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (photo(), JPEG),
        (photo(form="PNG"), PNG),
        (photo(form="WEBP"), WEBP),
        (pdf(), PDF),
        (docx(), DOCX),
        (xlsx(), XLSX),
        (film(b"isom", b"isom", b"mp41"), MP4),
        (film(b"mp42"), MP4),
        (film(b"3gp5"), THREE_GP),
        (film(b"qt  "), QUICKTIME),
        (film(b"M4A "), M4A),
        (b"#!AMR\n\x3c\x00", AMR),
        (b"#!AMR-WB\n\x3c\x00", AMR_WB),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", WAV),
        ("已更换主板，收费 85 元。\r\n".encode(), TEXT),
        ("已更换主板".encode("gb18030"), TEXT),
        ("\ufeff第一行".encode(), TEXT),
    ],
    ids=lambda value: value.name if isinstance(value, MediaType) else "",
)
def test_what_a_repair_needs_is_known_by_its_bytes(data: bytes, kind: MediaType) -> None:
    assert sniff(data) is kind
    assert TYPES[kind.name] is kind


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "空的"),
        (SVG, "SVG"),
        (HTML, "网页"),
        (b"\xef\xbb\xbf  <p>x</p>", "网页"),
        (b"see <script>alert(1)</script>", "网页"),
        (b"GIF89a\x01\x00", "图片格式"),
        (film(b"heic", b"mif1", b"heic"), "HEIC"),
        (film(b"mif1", b"heic"), "HEIC"),
        (film(b"avif"), "HEIC"),
        (film(b"evil"), "不支持"),
        (b"\xff\xff\xff\xffftypisom", "不支持"),
        (b"MZ\x90\x00\x03\x00\x00\x00", "不支持"),
        (b"\x7fELF\x02\x01\x01\x00", "不支持"),
        (b"\x1f\x8b\x08\x00\x00\x00", "不支持"),
        (b"a\x00b", "不支持"),
        (b"RIFF\x24\x00\x00\x00AVI LIST", "不支持"),
        (b"%PDF-1.7\nno end", "不完整"),
        (office("a.txt"), "压缩包"),
        (office("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), "宏"),
        (office("[Content_Types].xml", "word/document.xml", "xl/workbook.xml"), "不支持"),
        (office("[Content_Types].xml"), "不支持"),
        (docx()[:-5], "压缩包"),
        (b"PK\x03\x04", "压缩包"),
    ],
    ids=str,
)
def test_everything_else_is_refused_and_says_why(data: bytes, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why) as refused:
        sniff(data)
    assert refused.value.hint


@pytest.mark.parametrize("ours", [photo(), photo(form="PNG"), film(b"isom"), pdf().removesuffix(b"\n")])
def test_a_file_with_an_archive_behind_it_is_refused(ours: bytes) -> None:
    tail = b"\n%%EOF" if ours.startswith(b"%PDF") else b""
    both = ours + docx()[:-2] + len(tail).to_bytes(2, "little") + tail
    with pytest.raises(InvalidInputError, match="压缩包"):
        sniff(both)


def test_a_photo_with_a_page_in_its_comment_is_refused() -> None:
    plain = photo()
    comment = b"<html><script>alert(1)</script>"
    hidden = plain[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + plain[2:]
    with pytest.raises(InvalidInputError, match="网页代码"):
        sniff(hidden)


def test_a_photo_with_something_harmless_behind_it_is_a_photo() -> None:
    assert sniff(photo() + film(b"mp42") + b"\x00" * 100) is JPEG  # as phones write moving photos


def test_something_before_an_archive_makes_it_none() -> None:
    with pytest.raises(InvalidInputError):
        sniff(b"PK\x03\x04 padding" + docx())


def test_a_list_of_too_many_parts_is_not_read() -> None:
    data = docx()
    end = data.rindex(b"PK\x05\x06")
    many = data[: end + 10] + struct.pack("<H", MAX_PARTS + 1) + data[end + 12 :]
    with pytest.raises(InvalidInputError, match="压缩包"):
        sniff(many)


BEGINNINGS = st.sampled_from(
    [b"", b"\xff\xd8\xff", b"PK\x03\x04", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x18ftyp", b"%PDF-", b"#!AMR\n", b"<", docx()]
)


@given(BEGINNINGS, st.binary(max_size=300), st.sampled_from([b"", b"%%EOF", docx(), docx()[-22:]]))
def test_any_bytes_are_a_known_type_or_refused(start: bytes, middle: bytes, tail: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        assert sniff(start + middle + tail).name in TYPES


@given(st.binary(max_size=60), st.integers(0, 400))
def test_an_office_document_cut_or_changed_is_never_a_crash(change: bytes, at: int) -> None:
    data = docx()
    for hurt in (data[:at], data[:at] + change + data[at + len(change) :]):
        with contextlib.suppress(InvalidInputError):
            assert sniff(hurt).name in TYPES


@given(st.text(max_size=300))
def test_names_hold_nothing_that_a_path_or_a_header_means(claimed: str) -> None:
    name = safe_name(claimed, JPEG)
    assert name.endswith(".jpg")
    assert len(name) <= MAX_NAME
    assert not set(name) & set("/\\\r\n\"';<>:|?*\x00")
    assert name.count(".") == 1


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        ("IMG_0001.HEIC", "IMG_0001.jpg"),
        (r"C:\fakepath\热力 二.jpeg", "热力 二.jpg"),
        ("../../etc/passwd", "passwd.jpg"),
        ("发票.pdf.exe", "发票pdf.jpg"),
        (".htaccess", "htaccess.jpg"),
        ("\u202egpj.exe", "gpj.jpg"),
        ("", "未命名.jpg"),
    ],
)
def test_the_true_ending_replaces_the_claimed_one(claimed: str, name: str) -> None:
    assert safe_name(claimed, JPEG) == name


def test_a_video_loses_its_place_and_nothing_else() -> None:
    data = film(b"isom", rest=b"\x00\x1e\xa9xyz\x00\x12\x15\xc7+40.4566+115.9749+512.3/" + bytes(range(256)))
    clean = without_location(data)
    assert len(clean) == len(data)
    assert b"40.4566" not in clean
    assert clean.endswith(bytes(range(256)))
    assert without_location(clean) == clean
