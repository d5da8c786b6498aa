"""GeoReport v2 documents and forms, as pure functions of whatever is given."""

import dataclasses
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.open311 import documents
from console.open311.endpoints import demand_of
from hotline.errors import InvalidInputError
from hotline.settings_sections import TicketSettings
from tickets.taxonomy import category_code, load_taxonomy

TAXONOMY = load_taxonomy(TicketSettings().taxonomy_path)
LAMPS = TAXONOMY.categories["市政园林/路灯"]
FIELDS = (
    *("lat", "long", "address_string", "description", "first_name", "last_name", "phone", "media_url"),
    *("attribute[town]", "attribute[anonymous]", "attribute[confidential]", "attribute[nothing]", "email"),
)
VALUES = st.text(max_size=40) | st.sampled_from(("yes", "40.5", "116", "1", "永宁镇和平街"))
LIMITS = {"title": 200, "caller_name": 64, "phone": 32, "place": 64, "address": 200, "town": 64, "community": 64}


def test_each_category_has_a_code_of_its_own_that_stays() -> None:
    codes = {category_code(name) for name in TAXONOMY.categories}
    assert len(codes) == len(TAXONOMY.categories)
    assert category_code("市政园林/路灯") == "c00d3377"


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_text_holds_the_document_is_xml_and_says_it(first: str, second: str) -> None:
    document = ElementTree.fromstring(documents.as_xml("errors", [{"code": 1, "description": first + second}]))
    said = document.findtext("error/description") or ""
    kept = "".join(character for character in first + second if character.isprintable())
    assert "".join(character for character in said if character.isprintable()) == kept.replace("\ufffe", "")


def test_lists_truths_and_nothing_have_their_forms_in_xml() -> None:
    tree = ElementTree.fromstring(documents.as_xml("service_definition", documents.service_definition(LAMPS)))
    assert [item.findtext("code") for item in tree.findall("attributes/attribute")] == [
        "town",
        "anonymous",
        "confidential",
    ]
    anonymous = tree.findall("attributes/attribute")[1]
    assert [item.findtext("key") for item in anonymous.findall("values/value")] == ["yes", "no"]
    assert (anonymous.findtext("variable"), anonymous.findtext("required")) == ("true", "false")
    assert anonymous.findtext("datatype_description") == ""


@given(
    st.dictionaries(
        st.sampled_from(FIELDS), st.text(max_size=40) | st.sampled_from(("yes", "40.5", "116", "1")), max_size=9
    )
)
def test_a_form_becomes_a_demand_that_fits_its_columns_or_is_refused(form: dict[str, str]) -> None:
    try:
        demand = demand_of(form, LAMPS)
    except InvalidInputError:
        return
    assert demand.category == "市政园林/路灯"
    assert demand.content.strip()
    assert demand.address or demand.latitude is not None
    assert (demand.latitude is None) == (demand.longitude is None)
    values = dataclasses.asdict(demand)
    for name, most in LIMITS.items():
        assert len(values[name]) <= most, name


@pytest.mark.parametrize("degrees", ["inf", "nan", "1e1", "0x10", "４０", "90.0000001", "--1", ""])
def test_degrees_are_plain_decimals_within_their_bounds(degrees: str) -> None:
    with pytest.raises(InvalidInputError):
        demand_of({"lat": degrees, "long": "1"}, LAMPS)
