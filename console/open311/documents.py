"""The documents of GeoReport v2 (wiki.open311.org/GeoReport_v2) as plain data, and as XML. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from xml.etree import ElementTree

from tickets.lifecycle import ENDED, State
from tickets.models import Ticket
from tickets.taxonomy import Category, category_code

Precision = Literal["town", "community", "exact"]
YES, NO = "yes", "no"
ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {
        "variable": True,
        "code": "town",
        "datatype": "string",
        "required": False,
        "datatype_description": "街道或乡镇的名称",
        "order": 1,
        "description": "事情发生在哪个街道或乡镇",
        "values": [],
    },
    *(
        {
            "variable": True,
            "code": code,
            "datatype": "singlevaluelist",
            "required": False,
            "datatype_description": None,
            "order": order,
            "description": description,
            "values": [{"key": YES, "name": "是"}, {"key": NO, "name": "否"}],
        }
        for order, (code, description) in enumerate(
            (("anonymous", "不留姓名"), ("confidential", "请求保密，不公开")), start=2
        )
    ),
)
"""What every service asks besides the standard's own fields."""
_MEMBERS = {
    "services": "service",
    "service_requests": "request",
    "attributes": "attribute",
    "values": "value",
    "errors": "error",
    "endpoints": "endpoint",
    "formats": "format",
}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def service(category: Category) -> dict[str, Any]:
    """A service of the list."""
    group, _, name = category.name.partition("/")
    return {
        "service_code": category_code(category.name),
        "service_name": name,
        "description": category.matter,
        "metadata": True,
        "type": "realtime",
        "keywords": ",".join((group, name)),
        "group": group,
    }


def service_definition(category: Category) -> dict[str, Any]:
    """What a service asks."""
    return {"service_code": category_code(category.name), "attributes": [dict(item) for item in ATTRIBUTES]}


def service_request(ticket: Ticket, category: Category, *, unit_name: str, precision: Precision) -> dict[str, Any]:
    """A ticket as everybody may know it: its matter and place, and how it stands; nothing that somebody wrote."""
    ended = State(ticket.state) in ENDED
    return {
        "service_request_id": ticket.number,
        "status": "closed" if ended else "open",
        "status_notes": State(ticket.state).label,
        "service_name": category.name.partition("/")[2],
        "service_code": category_code(category.name),
        "description": category.matter,
        "agency_responsible": unit_name or None,
        "service_notice": None,
        "requested_datetime": _moment(ticket.created_at),
        "updated_datetime": _moment(ticket.closed_at if ended and ticket.closed_at else ticket.updated_at),
        "expected_datetime": _moment(ticket.due_at) if ticket.due_step == "reply" else None,
        "address": _address(ticket, precision) or None,
        "address_id": None,
        "zipcode": None,
        "lat": _coordinate(ticket.latitude, precision),
        "long": _coordinate(ticket.longitude, precision),
        "media_url": None,
    }


def errors(code: int, description: str) -> list[dict[str, Any]]:
    """What went wrong."""
    return [{"code": code, "description": description}]


def as_xml(root: str, content: Sequence[Any] | Mapping[str, Any]) -> bytes:
    """A document with its declaration; a list's members are named as the standard names them."""
    element = ElementTree.Element(root)
    _fill(element, content)
    text: str = ElementTree.tostring(element, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def _fill(element: ElementTree.Element, content: Any) -> None:
    if isinstance(content, Mapping):
        for name, value in content.items():
            _fill(ElementTree.SubElement(element, name), value)
    elif isinstance(content, list | tuple):
        for item in content:
            _fill(ElementTree.SubElement(element, _MEMBERS[element.tag]), item)
    elif isinstance(content, bool):
        element.text = "true" if content else "false"
    elif content is not None:
        element.text = _NOT_XML.sub("", str(content))


def _moment(moment: datetime | None) -> str | None:
    """In the W3C's form, UTC, whole seconds."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _address(ticket: Ticket, precision: Precision) -> str:
    town = ticket.town or ticket.place
    if precision == "town":
        return town
    parts = [town, ticket.community, *([ticket.address] if precision == "exact" else [])]
    return "".join(dict.fromkeys(filter(None, parts)))


def _coordinate(degrees: float | None, precision: Precision) -> float | None:
    """Whole, or to a hundredth of a degree (about a kilometre), or not at all."""
    if degrees is None or precision == "town":
        return None
    return degrees if precision == "exact" else round(degrees, 2)
