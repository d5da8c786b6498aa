"""Photos: what they say, and copies that say nothing."""

import io
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attachment_files import PLACE, bomb, photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hotline.errors import InvalidInputError
from tickets.attachments.pictures import Picture, read_picture, taken_at

ZONE = ZoneInfo("Asia/Shanghai")


def read(data: bytes, **limits: Any) -> Picture:
    chosen = {"max_pixels": 10_000_000, "shown_px": 400, "thumbnail_px": 100, **limits}
    return read_picture(data, zone=ZONE, **chosen)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_time_and_place_are_read_and_the_copies_have_neither(form: str) -> None:
    picture = read(photo(form=form))
    assert picture.facts.taken_at == datetime(2026, 1, 5, 2, 30, tzinfo=UTC)
    assert (picture.facts.latitude, picture.facts.longitude) == pytest.approx(PLACE, abs=1e-5)
    for copy, size in ((picture.shown, (400, 300)), (picture.thumbnail, (100, 75))):
        image = opened(copy)
        assert (image.format, image.size) == ("JPEG", size)
        assert dict(image.getexif()) == {}
        assert b"Exif" not in copy


def test_south_and_west_are_negative() -> None:
    facts = read(photo(place=(-33.5, -70.25))).facts
    assert (facts.latitude, facts.longitude) == pytest.approx((-33.5, -70.25))


def test_a_phone_without_a_fix_says_no_place() -> None:
    facts = read(photo(place=(0.0, 0.0))).facts
    assert (facts.latitude, facts.longitude) == (None, None)


def test_a_photo_without_notes_is_one_still() -> None:
    facts = read(photo(place=None, taken=None)).facts
    assert (facts.taken_at, facts.latitude, facts.longitude) == (None, None, None)


@pytest.mark.parametrize(("orientation", "corner"), [(1, (5, 5)), (3, (395, 295)), (6, (295, 5)), (8, (5, 395))])
def test_copies_are_upright(orientation: int, corner: tuple[int, int]) -> None:
    image = opened(read(photo(orientation=orientation)).shown)
    assert image.size == ((400, 300) if orientation < 5 else (300, 400))
    pixel = image.getpixel(corner)
    assert isinstance(pixel, tuple)
    assert min(pixel) > 230


def test_what_is_transparent_is_white() -> None:
    target = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(target, "PNG")
    assert opened(read(target.getvalue()).shown).getpixel((5, 5)) == (255, 255, 255)


def test_a_small_photo_is_not_blown_up() -> None:
    assert opened(read(photo(120, 80)).shown).size == (120, 80)


def test_comments_are_not_carried_over() -> None:
    target = io.BytesIO()
    Image.new("RGB", (50, 50)).save(target, "JPEG", comment=b"secret place")
    assert b"secret" not in read(target.getvalue()).shown


@pytest.mark.parametrize(
    ("width", "height"), [(4000, 4000), (12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_few_bytes_that_say_they_are_huge_are_not_decoded(width: int, height: int) -> None:
    with pytest.raises(InvalidInputError, match=r"百万像素|损坏"):
        read(bomb(width, height))


@pytest.mark.parametrize("data", [photo()[:400], photo()[:-2000], b"\xff\xd8\xff\xe0 no photo", bomb(50, 50)])
def test_a_broken_photo_is_an_error_of_the_sender(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="损坏"):
        read(data)


def test_only_the_three_formats_are_opened() -> None:
    target = io.BytesIO()
    Image.new("RGB", (50, 50)).save(target, "GIF")
    with pytest.raises(InvalidInputError, match="损坏"):
        read(target.getvalue())


PHOTO = photo(64, 48)


@given(st.integers(2, 600), st.binary(min_size=1, max_size=12))
def test_a_changed_photo_is_read_or_refused_and_nothing_else(at: int, change: bytes) -> None:
    try:
        picture = read(PHOTO[:at] + change + PHOTO[at + len(change) :], max_pixels=1_000_000)
    except InvalidInputError:
        return
    assert opened(picture.shown).format == "JPEG"
    for value, most in ((picture.facts.latitude, 90), (picture.facts.longitude, 180)):
        assert value is None or -most <= value <= most


@pytest.mark.parametrize(
    ("written", "offset", "moment"),
    [
        ("2026:01:05 10:30:00", "+08:00", datetime(2026, 1, 5, 2, 30, tzinfo=UTC)),
        ("2026:01:05 10:30:00", None, datetime(2026, 1, 5, 2, 30, tzinfo=UTC)),
        ("2026:01:05 10:30:00\x00", "+00:00\x00", datetime(2026, 1, 5, 10, 30, tzinfo=UTC)),
        ("0000:00:00 00:00:00", None, None),
        ("1970:01:01 00:00:00", None, None),
        ("    :  :     :  :  ", None, None),
        (None, None, None),
        (7, None, None),
        ("2026:01:05 10:30:00", "east", None),
    ],
)
def test_times_of_cameras(written: object, offset: object, moment: datetime | None) -> None:
    assert taken_at(written, offset, ZONE) == moment
