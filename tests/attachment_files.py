"""Files as phones and offices make them, and as nobody should: for tests of attachments."""

import io
import struct
import zipfile
import zlib
from datetime import datetime

from PIL import Image, ImageDraw

PLACE = (40.456612, 115.974902)
TAKEN = datetime(2026, 1, 5, 10, 30)  # noqa: DTZ001 - as EXIF has it


def photo(
    width: int = 800,
    height: int = 600,
    *,
    colour: str = "#b5651d",
    place: tuple[float, float] | None = PLACE,
    taken: datetime | None = TAKEN,
    offset: str = "+08:00",
    orientation: int = 1,
    form: str = "JPEG",
) -> bytes:
    """A photo with EXIF, its upper left corner white."""
    image = Image.new("RGB", (width, height), colour)
    ImageDraw.Draw(image).rectangle((0, 0, width // 4, height // 4), fill="white")
    exif = Image.Exif()
    exif[0x0112] = orientation
    details = exif.get_ifd(0x8769)
    if taken is not None:
        details[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
        if offset:
            details[0x9011] = offset
    if place is not None:
        gps = exif.get_ifd(0x8825)
        for tag, value, letters in ((1, place[0], "NS"), (3, place[1], "EW")):
            whole = abs(value)
            gps[tag] = letters[value < 0]
            gps[tag + 1] = (int(whole), int(whole * 60 % 60), whole * 3600 % 60)
    target = io.BytesIO()
    image.save(target, form, exif=exif)
    return target.getvalue()


def office(*parts: str) -> bytes:
    """A ZIP archive with parts of those names."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in parts:
            archive.writestr(part, "<x/>")
    return target.getvalue()


def docx() -> bytes:
    return office("[Content_Types].xml", "word/document.xml")


def xlsx() -> bytes:
    return office("[Content_Types].xml", "xl/workbook.xml")


def pdf() -> bytes:
    return b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def film(brand: bytes, *compatible: bytes, rest: bytes = b"\x00\x00\x00\x08free") -> bytes:
    """The beginning of an ISO base media file."""
    body = brand + b"\x00\x00\x02\x00" + b"".join(compatible or (brand,))
    return struct.pack(">I", len(body) + 8) + b"ftyp" + body + rest


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")
