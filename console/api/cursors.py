"""Places in a list as opaque text: checked, and good only for the list that they were given for. Pure."""

import base64
import binascii
import struct
import zlib
from datetime import UTC, datetime, timedelta

from hotline.errors import InvalidInputError
from tickets.list_repository import Place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORM = struct.Struct(">qqI")  # microseconds since 1970, id, check over both and the list's filters
LENGTH = 28
"""Characters of a cursor."""


def format_cursor(place: Place, filters: str) -> str:
    """The text of a place in the list with these filters."""
    microseconds = (place.created_at - _EPOCH) // _MICROSECOND
    check = _check(microseconds, place.ticket_id, filters)
    return base64.urlsafe_b64encode(_FORM.pack(microseconds, place.ticket_id, check)).decode()


def parse_cursor(text: str, filters: str) -> Place | None:
    """The inverse of `format_cursor`; empty is the beginning. Raises `InvalidInputError`."""
    if not text:
        return None
    wrong = InvalidInputError("翻页位置无效", hint="请从第一页重新读取；条件改变后翻页位置不再有效")
    try:
        microseconds, ticket_id, check = _FORM.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
        if check != _check(microseconds, ticket_id, filters):
            raise wrong
        return Place(_EPOCH + microseconds * _MICROSECOND, ticket_id)
    except (binascii.Error, struct.error, OverflowError, ValueError) as error:
        raise wrong from error


def _check(microseconds: int, ticket_id: int, filters: str) -> int:
    return zlib.crc32(f"{microseconds} {ticket_id} {filters}".encode())
