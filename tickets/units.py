"""Units as offices list them: a table in, what it changes out. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hotline.errors import InvalidInputError
from tickets.places import Fault
from tickets.sheets import Column, Record, Sheet

UNIT_KINDS: Mapping[str, tuple[str, ...]] = {
    "town": ("乡镇街道", "乡镇", "镇", "乡", "街道", "镇街", "街乡镇"),
    "department": ("部门", "委办局", "局", "委", "办"),
    "company": ("公共服务企业", "企业", "公司", "公服企业"),
    "office": ("区中心", "中心", "指挥中心"),
}
"""What a unit is, and how tables call it; the first is how people read it."""
COLUMNS = (
    Column("code", ("代码", "单位代码", "编码"), required=True),
    Column("name", ("名称", "单位名称", "承办单位", "单位"), required=True),
    Column("kind", ("类型", "单位类型", "类别"), required=True),
    Column("email", ("邮箱", "电子邮箱", "邮件", "电子邮件")),
    Column("phone", ("电话", "联系电话", "值班电话")),
    Column("active", ("启用", "在用", "状态")),
)
YES, NO = ("是", "启用", "在用", "1", "true", "yes"), ("否", "停用", "0", "false", "no")
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[\w·（）()、《》\- ]{2,64}")
_EMAIL = re.compile(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9.-]{1,63}")
_PHONE = re.compile(r"\+?[0-9][0-9 -]{2,30}")
_KIND_OF = {name: kind for kind, names in UNIT_KINDS.items() for name in (kind, *names)}


@dataclass(frozen=True)
class UnitData:
    """A unit; an invalid one raises `InvalidInputError`."""

    code: str
    name: str
    kind: str
    email: str = ""
    phone: str = ""
    active: bool = True

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise InvalidInputError(
                f"单位代码 {self.code[:40]!r} 无效：1 至 32 个小写字母、数字、- 或 _，以字母或数字开头"
            )
        if not _NAME.fullmatch(self.name) or self.name[0] in "=+-@":
            raise InvalidInputError(f"单位名称 {self.name[:70]!r} 无效：2 至 64 个字")
        if self.kind not in UNIT_KINDS:
            known = "、".join(names[0] for names in UNIT_KINDS.values())
            raise InvalidInputError(f"没有单位类型 {self.kind[:40]!r}，可选 {known}")
        if self.email and not _EMAIL.fullmatch(self.email):
            raise InvalidInputError(f"{self.name}：邮箱无效")
        if self.phone and not _PHONE.fullmatch(self.phone):
            raise InvalidInputError(f"{self.name}：电话无效")


@dataclass(frozen=True)
class UnitList:
    """What a table says."""

    units: tuple[UnitData, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class UnitChanges:
    """What an import does to the units there are; none is ever removed, since tickets name them."""

    added: tuple[UnitData, ...]
    changed: tuple[UnitData, ...]
    unchanged: int


def kind_of(text: str) -> str:
    """The kind that a table's word names; the word itself where it names none."""
    return _KIND_OF.get(text, text)


def parse_units(sheet: Sheet) -> UnitList:
    """The units of a table; every line that is wrong is told."""
    faults = list(sheet.faults)
    by_code: dict[str, UnitData] = {}
    by_name: dict[str, str] = {}
    for record in sheet.records:
        try:
            unit = _unit(record)
            if unit.code in by_code:
                raise InvalidInputError(f"代码 {unit.code} 出现多次")
            if by_name.setdefault(unit.name, unit.code) != unit.code:
                raise InvalidInputError(f"名称 {unit.name} 出现多次")
        except InvalidInputError as error:
            faults.append(Fault(record.line, error.message))
            continue
        by_code[unit.code] = unit
    return UnitList(tuple(by_code.values()), tuple(sorted(faults, key=lambda fault: fault.line)))


def plan_units(known: Sequence[UnitData], given: Sequence[UnitData]) -> UnitChanges:
    """`given` over `known`, by code; the same again changes nothing. Raises `InvalidInputError` where two would have
    one name."""
    before = {unit.code: unit for unit in known}
    after = before | {unit.code: unit for unit in given}
    owner: dict[str, str] = {}
    for unit in after.values():
        if owner.setdefault(unit.name, unit.code) != unit.code:
            raise InvalidInputError(f"{unit.name} 同时是 {owner[unit.name]} 和 {unit.code} 的名称")
    added = tuple(unit for unit in given if unit.code not in before)
    changed = tuple(unit for unit in given if unit.code in before and before[unit.code] != unit)
    return UnitChanges(added, changed, len(given) - len(added) - len(changed))


def unit_cells(units: Iterable[UnitData]) -> Iterable[tuple[str, ...]]:
    """The inverse of `parse_units`, under the first name of each column."""
    for unit in units:
        yield (unit.code, unit.name, UNIT_KINDS[unit.kind][0], unit.email, unit.phone, "是" if unit.active else "否")


def _unit(record: Record) -> UnitData:
    active = record["active"].lower()
    if active and active not in (*YES, *NO):
        raise InvalidInputError(f"“启用”须为 是 或 否，不能是 {active[:20]!r}")
    kind = kind_of(record["kind"])
    return UnitData(record["code"].lower(), record["name"], kind, record["email"], record["phone"], active not in NO)
