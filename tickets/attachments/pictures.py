"""Photos: what they say about themselves, and copies to look at that say nothing.

A picture is opened by Pillow as one of three formats alone, its size is known before a pixel is decoded, and whatever
Pillow raises for a hostile file is one error to the sender.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from hotline.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 82
_EXIF, _GPS = 0x8769, 0x8825
_TAKEN, _TAKEN_OFFSET = 0x9003, 0x9011
_EARLIEST = 1990


@dataclass(frozen=True)
class PictureFacts:
    """Of EXIF 2.32: `taken_at` (36867, with 36881 or in the site's zone) and the place in degrees (WGS 84)."""

    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Picture:
    """JPEG copies without anything but the picture, upright: to look at, and a small one."""

    facts: PictureFacts
    shown: bytes
    thumbnail: bytes


def read_picture(data: bytes, *, max_pixels: int, shown_px: int, thumbnail_px: int, zone: tzinfo) -> Picture:
    """Decodes a photo once. Sides of the copies are at most `shown_px` and `thumbnail_px`.

    Raises `InvalidInputError` for what is no such picture, is broken, or has more than `max_pixels`.
    """
    from PIL import Image, ImageOps

    too_large = InvalidInputError(f"图片超过 {max_pixels // 1_000_000} 百万像素", hint="请在手机相机里调低分辨率")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > max_pixels:
                raise too_large
            facts = _facts(image, zone)
            image.draft("RGB", (shown_px, shown_px))  # a JPEG is decoded no larger than is needed
            upright = _flat(ImageOps.exif_transpose(image))
            upright.thumbnail((shown_px, shown_px))
            small = upright.copy()
            small.thumbnail((thumbnail_px, thumbnail_px))
            return Picture(facts, _jpeg(upright), _jpeg(small))
    except InvalidInputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except Exception as error:  # for hostile files Pillow raises whatever its decoders do
        raise InvalidInputError("图片损坏，打不开", hint="请重新拍照后上传") from error


def _flat(image: "Image") -> "Image":
    """As RGB, what is transparent in white."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGB", layer.size, "white")
        ground.paste(layer, mask=layer)
        return ground
    return image.convert("RGB")


def _jpeg(image: "Image") -> bytes:
    image.info.clear()  # Pillow would write the comment back
    target = io.BytesIO()
    image.save(target, "JPEG", quality=QUALITY, optimize=True)
    return target.getvalue()


def _facts(image: "Image", zone: tzinfo) -> PictureFacts:
    try:
        exif = image.getexif()
        details, gps = exif.get_ifd(_EXIF), exif.get_ifd(_GPS)
    except Exception:  # a photo with broken notes is a photo still
        return PictureFacts()
    latitude, longitude = _degrees(gps, 1, "S", 90.0), _degrees(gps, 3, "W", 180.0)
    if latitude is None or longitude is None or (latitude, longitude) == (0.0, 0.0):  # what a phone without a fix says
        latitude = longitude = None
    return PictureFacts(taken_at(details.get(_TAKEN), details.get(_TAKEN_OFFSET), zone), latitude, longitude)


def taken_at(written: object, offset: object, zone: tzinfo) -> datetime | None:
    """`2026:01:05 10:30:00`, with an offset such as `+08:00` or in `zone`; None for what is no such time."""
    try:
        moment = datetime.strptime(str(written).strip("\x00 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
        where: tzinfo = datetime.strptime(str(offset).strip("\x00 "), "%z").tzinfo or zone if offset else zone
    except ValueError:
        return None
    if moment.year < _EARLIEST:
        return None
    return moment.replace(tzinfo=where).astimezone(UTC)


def _degrees(gps: Mapping[int, Any], tag: int, negative: str, most: float) -> float | None:
    """Degrees, minutes and seconds behind their reference (GPS tags 1 to 4)."""
    try:
        degrees, minutes, seconds = (float(part) for part in gps[tag + 1])
        value = degrees + minutes / 60 + seconds / 3600
        sign = -1 if str(gps[tag]).strip("\x00 ").upper() == negative else 1
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return round(sign * value, 6) if math.isfinite(value) and 0 <= value <= most else None
