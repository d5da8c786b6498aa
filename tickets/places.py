"""Places that a site imports: towns, communities, villages, roads, companies, from tables as offices have them. Pure.

The site's own file and every table that is imported are read alike: columns by the names in their first line (名称 类型
所属乡镇 别名, or name kind town aliases) or, without such a line, in this order.
"""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from hotline.errors import InvalidInputError

KINDS: Mapping[str, tuple[str, ...]] = {
    "town": ("乡镇街道", "乡镇", "镇", "乡", "街道", "镇街"),
    "community": ("社区", "居委会", "居民委员会"),
    "village": ("村", "行政村", "自然村", "村庄", "村委会"),
    "estate": ("小区", "楼盘", "住宅"),
    "road": ("道路", "路", "街", "街巷", "胡同", "公路"),
    "company": ("单位", "企业", "公司", "机构", "学校", "医院"),
    "other": ("其他", "地点", "地名", "景点", ""),
}
"""What a place is, and how tables call it; the first is how people read it."""
COLUMNS = {
    "name": ("name", "名称", "地名", "名字"),
    "kind": ("kind", "类型", "类别", "种类"),
    "town": ("town", "所属乡镇", "所属", "乡镇", "所属镇街", "parent"),
    "aliases": ("aliases", "别名", "俗称", "简称"),
    "community": ("community", "所属社区", "所属村", "社区（村）", "所属社区村"),
    "grid": ("grid", "网格", "网格编码", "网格号", "所属网格"),
}
MAX_BYTES = 16 * 1024 * 1024
MAX_PLACES = 20_000
MAX_LENGTH = 30
MAX_ALIASES = 10
_NAME = re.compile(rf"[\w·（）()-]{{2,{MAX_LENGTH}}}")
_SEPARATORS = re.compile(r"[、，,;；|/]")
_GRID = re.compile(r"[\w-]{0,32}")
_KIND_OF = {name: kind for kind, names in KINDS.items() for name in (kind, *names)}
_COLUMN_OF = {name: column for column, names in COLUMNS.items() for name in names}


@dataclass(frozen=True)
class Place:
    """A place; `town` is the town or street it lies in, `community` the community or village, `grid` the code of its
    grid, each empty where it is not certain; an invalid one raises `InvalidInputError`."""

    name: str
    kind: str = "other"
    town: str = ""
    aliases: tuple[str, ...] = ()
    community: str = ""
    grid: str = ""

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not _NAME.fullmatch(name) or name.isdigit():
                raise InvalidInputError(f"{name[:40]!r} 不是地名：2 至 {MAX_LENGTH} 个字，不含空格和标点")
        if self.kind not in KINDS:
            known = "、".join(names[0] for names in KINDS.values())
            raise InvalidInputError(f"{self.name}：没有类型 {self.kind[:40]!r}，可选 {known}")
        if len(self.aliases) > MAX_ALIASES:
            raise InvalidInputError(f"{self.name}：别名多于 {MAX_ALIASES} 个")
        if self.community and not _NAME.fullmatch(self.community):
            raise InvalidInputError(f"{self.name}：所属社区 {self.community[:40]!r} 不是地名")
        if not _GRID.fullmatch(self.grid):
            raise InvalidInputError(f"{self.name}：网格编码 {self.grid[:40]!r} 最多 32 个字母、数字或 -")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line of a table (0: with all of it)."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"第 {self.line} 行：{self.message}" if self.line else self.message


@dataclass(frozen=True)
class PlaceList:
    """What a table says. `notes`: what was settled without asking."""

    places: tuple[Place, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What an import does to the places there are."""

    places: tuple[Place, ...]
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = field(default=0)


def decode(data: bytes, *, limit: int = MAX_BYTES) -> str:
    """Text as offices save it: UTF-8 with or without its mark, UTF-16 with it, GBK. Raises `InvalidInputError`."""
    if len(data) > limit:
        raise InvalidInputError(f"文件有 {len(data)} 字节，最多 {limit}")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidInputError("这是 Excel 工作簿", hint="在 Excel 里另存为 CSV UTF-8，再导入")
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InvalidInputError("文件不是 UTF-8、GBK 或 UTF-16 文本", hint="另存为 CSV UTF-8，再导入")


def parse_table(text: str, *, towns: Collection[str], limit: int = MAX_PLACES) -> PlaceList:
    """The places of a CSV or TSV text; `towns`: those known beside the table's own."""
    return _settle(_rows(text), towns=towns, limit=limit)


def parse_yaml(text: str, *, towns: Collection[str], limit: int = MAX_PLACES) -> PlaceList:
    """The places of a YAML text shaped as the gazetteer's: lists `towns` and `places`, or such a list alone."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return PlaceList((), (Fault(0, f"不是 YAML：{' '.join(str(error).split())}"),))
    rows: list[tuple[int, Mapping[str, str] | Fault]] = []
    groups = data if isinstance(data, dict) else {"places": data}
    for group, kind in (("towns", "town"), ("places", "")):
        items = groups.get(group) or []
        if not isinstance(items, list):
            return PlaceList((), (Fault(0, f"{group} 不是列表"),))
        for number, item in enumerate(items, start=1):
            rows.append((0, _mapping(item, kind, f"{group} 第 {number} 项")))
    return _settle(rows, towns=towns, limit=limit)


def format_table(places: Iterable[Place], *, delimiter: str = "\t") -> str:
    """The inverse of `parse_table`; communities and grids have columns where there are any."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    rows = list(places)
    width = len(COLUMNS) if any(place.community or place.grid for place in rows) else len(COLUMNS) - 2
    writer.writerow([names[1] for names in COLUMNS.values()][:width])
    for place in rows:
        cells = [place.name, KINDS[place.kind][0], place.town, "、".join(place.aliases), place.community, place.grid]
        writer.writerow(cells[:width])
    return out.getvalue()


def format_yaml(places: Iterable[Place]) -> str:
    """The inverse of `parse_yaml`."""
    rows = [
        {"name": place.name, "kind": place.kind, "town": place.town, "aliases": list(place.aliases)}
        | {key: value for key, value in (("community", place.community), ("grid", place.grid)) if value}
        for place in places
    ]
    return yaml.safe_dump({"places": rows}, allow_unicode=True, sort_keys=False, default_flow_style=None, width=200)


def merge(known: Sequence[Place], given: Sequence[Place], *, replace_all: bool = False) -> Changes:
    """`given` over `known`: by name; the same again changes nothing."""
    before = {place.name: place for place in known}
    after = ({} if replace_all else before) | {place.name: place for place in given}
    added = tuple(name for name in after if name not in before)
    changed = tuple(name for name, place in after.items() if name in before and before[name] != place)
    removed = tuple(name for name in before if name not in after)
    return Changes(tuple(after.values()), added, changed, removed, len(after) - len(added) - len(changed))


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, str] | Fault]]:
    """Line and cells by column."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",", strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if columns is None:
                named = [_COLUMN_OF.get(cell.lower(), "") for cell in cells]
                columns = named if "name" in named else list(COLUMNS)
                if columns is named:
                    continue
            yield reader.line_num, dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        yield reader.line_num, Fault(reader.line_num, f"表格格式有误：{error}")


def _mapping(item: object, kind: str, where: str) -> Mapping[str, str] | Fault:
    if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
        return Fault(0, f"{where}不是地名")
    unknown = sorted(set(item) - set(COLUMNS))
    if unknown:
        return Fault(0, f"{where}：没有栏目 {'、'.join(unknown)[:80]}")
    aliases = item.get("aliases") or ()
    cells = {key: str(value) for key, value in item.items() if value is not None}
    joined = "、".join(map(str, aliases)) if isinstance(aliases, (list, tuple)) else str(aliases)
    return {"kind": kind, **cells, "aliases": joined}


def _settle(rows: Iterable[tuple[int, Mapping[str, str] | Fault]], *, towns: Collection[str], limit: int) -> PlaceList:
    places: dict[str, Place] = {}
    line_of: dict[str, int] = {}
    faults: list[Fault] = []
    notes: list[Fault] = []
    for line, row in rows:
        if isinstance(row, Fault):
            faults.append(row)
            continue
        try:
            place = _place(row)
        except InvalidInputError as error:
            faults.append(Fault(line, error.message))
            continue
        other = places.get(place.name)
        if other is not None and other != place:
            place, note = _same_name(other, place)
            notes.append(Fault(line, note))
        places[place.name] = place
        line_of.setdefault(place.name, line)
    known = {*towns, *(place.name for place in places.values() if place.kind == "town")}
    for place in places.values():
        if place.town and place.town not in known:
            faults.append(Fault(line_of[place.name], f"{place.name}：没有乡镇 {place.town}"))
    if len(places) > limit:
        faults.append(Fault(0, f"{len(places)} 个地名，最多 {limit} 个（tickets.max_places）"))
    settled = _clear_aliases(places, line_of, notes)
    return PlaceList(settled, tuple(sorted(faults, key=lambda fault: fault.line)), tuple(notes))


def _place(row: Mapping[str, str]) -> Place:
    name, kind = row.get("name", ""), row.get("kind", "")
    aliases = tuple(
        dict.fromkeys(alias.strip() for alias in _SEPARATORS.split(row.get("aliases", "")) if alias.strip())
    )
    town = row.get("town", "")
    kind = _KIND_OF.get(kind, kind)
    others = tuple(alias for alias in aliases if alias != name)
    return Place(name, kind, "" if kind == "town" else town, others, row.get("community", ""), row.get("grid", ""))


def _same_name(one: Place, other: Place) -> tuple[Place, str]:
    """Two villages of one name are one place whose town is not certain."""
    town = one.town if one.town == other.town or not other.town else other.town if not one.town else ""
    aliases = tuple(dict.fromkeys((*one.aliases, *other.aliases)))[:MAX_ALIASES]
    note = f"{one.name} 出现多次，已合并" + ("" if town or not one.town else "；分属不同乡镇，不标所属乡镇")
    community = one.community if one.community == other.community else ""
    grid = one.grid if one.grid == other.grid else ""
    return replace(other, town=town, aliases=aliases, community=community, grid=grid), note


def _clear_aliases(places: Mapping[str, Place], line_of: Mapping[str, int], notes: list[Fault]) -> tuple[Place, ...]:
    """Without aliases that mean more than one place."""
    owners: dict[str, int] = {}
    for place in places.values():
        for alias in place.aliases:
            owners[alias] = owners.get(alias, 0) + 1
    settled = []
    for place in places.values():
        doubtful = [alias for alias in place.aliases if alias in places or owners[alias] > 1]
        for alias in doubtful:
            notes.append(Fault(line_of[place.name], f"{place.name} 的别名 {alias} 也指别处，已略去"))
        settled.append(replace(place, aliases=tuple(alias for alias in place.aliases if alias not in doubtful)))
    return tuple(settled)
