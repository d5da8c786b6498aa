"""A picture of a flow: Mermaid text, or SVG laid out here, with what the caller hears in each state."""

from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape

from ivr.menu.check import reachable
from ivr.menu.flow import Flow, FlowState
from ivr.menu.layout import Box, place

KIND_NAMES = {
    "play": "播放",
    "record": "录音",
    "number": "取工单号",
    "menu": "按键选择",
    "collect": "输入数字",
    "survey": "回访提问",
    "condition": "判断",
    "enqueue": "排队",
    "dial": "转接",
    "look_up": "查询",
    "call_back": "登记回电",
    "hangup": "挂机",
}
OUTCOME_NAMES = {
    "recorded": "已录音",
    "silent": "没有声音",
    "assigned": "已取号",
    "unavailable": "暂不可用",
    "timeout": "超时",
    "invalid": "按键有误",
    "collected": "已输入",
    "answered": "已回答",
    "ended": "通话结束",
    "overflow": "排队溢出",
    "failed": "未接通",
    "found": "查到",
    "not_found": "没有查到",
    "call_back": "转为回电",
    "otherwise": "否则",
    "done": "",
}
COLOURS = {
    "menu": "#e8f0fe",
    "collect": "#e8f0fe",
    "survey": "#e8f0fe",
    "record": "#fde7e9",
    "enqueue": "#e6f4ea",
    "dial": "#e6f4ea",
    "call_back": "#e6f4ea",
    "condition": "#fff4d6",
    "hangup": "#e0e0e0",
}
EM = 13.0  # font size in px; a Chinese character is one em wide
LINE = 18.0
PAD = 10.0
TEXT_EMS = 15
MARGIN = 24.0
LANE = 12.0
LABEL_EM = 11.0
LANE_COLOURS = ("#1a73e8", "#c5221f", "#188038", "#a142f4", "#e37400", "#12858d", "#795548")

TextOf = Callable[[str], str]


def mermaid(flow: Flow, *, text_of: TextOf) -> str:
    """A Mermaid flowchart; `text_of` gives a prompt's words."""
    states = _states(flow)
    lines = ["flowchart TD"]
    for state in states:
        label = "<br/>".join(_mermaid_text(line) for line in _label(state, flow, text_of))
        shape = ("{{", "}}") if state.kind == "condition" else ("([", "])") if state.kind == "hangup" else ("[", "]")
        lines.append(f'    {state.name}{shape[0]}"{label}"{shape[1]}')
    for source, target, label in _edges(states):
        arrow = f'-->|"{_mermaid_text(label)}"|' if label else "-->"
        lines.append(f"    {source} {arrow} {target}")
    return "\n".join(lines) + "\n"


def svg(flow: Flow, *, text_of: TextOf) -> str:
    """A standalone SVG document."""
    states = _states(flow)
    labels = {state.name: _label(state, flow, text_of) for state in states}
    edges = _edges(states)
    sizes = {
        name: (
            max(
                max(map(_ems, lines)) * EM + 2 * PAD,
                sum(_label_width(label) for source, _, label in edges if source == name),
            ),
            len(lines) * LINE + 2 * PAD - 4,
        )
        for name, lines in labels.items()
    }
    starts = [flow.start, *flow.entries.values()]
    boxes = place(sizes, [(source, target) for source, target, _ in edges], starts=starts)
    bottom = max(box.y + box.height / 2 for box in boxes.values())
    drawn, width = _draw_edges(edges, boxes)
    body = [*drawn, *(_draw_node(state, boxes[state.name], labels[state.name]) for state in states)]
    view = f"{-MARGIN:.0f} {-MARGIN:.0f} {width + 2 * MARGIN:.0f} {bottom + 2 * MARGIN:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" width="{width + 2 * MARGIN:.0f}" '
        f"height=\"{bottom + 2 * MARGIN:.0f}\" font-family=\"'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif\" "
        f'font-size="{EM:.0f}">\n<title>{escape(flow.name)}</title>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>\n'
        f'<rect x="{-MARGIN:.0f}" y="{-MARGIN:.0f}" width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


# --- words ---


def _states(flow: Flow) -> list[FlowState]:
    reached = reachable(flow)
    return [state for name, state in flow.states.items() if name in reached]


def _edges(states: Sequence[FlowState]) -> list[tuple[str, str, str]]:
    """(source, target, label): what leads to the same state is one edge."""
    out: list[tuple[str, str, str]] = []
    for state in states:
        labels: dict[str, list[str]] = {}
        for label, target, _ in state.edges():
            labels.setdefault(target, []).append(_edge_name(state, label))
        out += [(state.name, target, "、".join(filter(None, names))) for target, names in labels.items()]
    return out


def _edge_name(state: FlowState, label: str) -> str:
    if label in state.keys:
        return f"按 {label}"
    if not label.startswith("when "):
        return OUTCOME_NAMES[label]
    branch = state.branches[int(label.removeprefix("when ")) - 1]
    if branch.hours:
        return f"{branch.hours} 时间内"
    if branch.session is not None:
        return "领导接听中" if branch.session else "领导未接听"
    shown = "、".join(branch.values[:1]) + (" 等" if len(branch.values) > 1 else "")
    return f"{branch.variable}＝{shown}"


def _label(state: FlowState, flow: Flow, text_of: TextOf) -> list[str]:
    title = f"{state.name} · {KIND_NAMES[state.kind]}"
    spoken = "".join(item if item.startswith("{") else text_of(item) for item in state.play)
    lines = [title, *_wrap(spoken)]
    if state.survey is not None:
        for key, answer in state.survey.answers.items():
            said = state.survey.spoken.get(answer, ())[:2]
            lines.append(f"{key}{''.join(f'／“{phrase}”' for phrase in said)} → {answer}")
    if state.collect is not None:
        lines.append(f"→ {{{state.collect.variable}}}")
    if state.target:
        lines.append(f"→ {state.target}")
    entries = [number for number, name in flow.entries.items() if name == state.name]
    if entries:
        lines.append(f"☎ {'、'.join(entries)}")
    return lines


def _wrap(text: str) -> list[str]:
    """Lines of at most `TEXT_EMS`; closing punctuation does not begin a line."""
    lines: list[str] = []
    line = ""
    for character in text:
        if _ems(line + character) > TEXT_EMS and character not in "，。、？！：":
            lines.append(line)
            line = ""
        line += character
    return [*lines, line] if line else lines


def _ems(text: str) -> float:
    """Width in em: ASCII is a little over half as wide as Chinese."""
    return sum(0.6 if character.isascii() else 1.0 for character in text)


def _mermaid_text(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("{", "#123;").replace("}", "#125;")


# --- SVG ---


def _draw_node(state: FlowState, box: Box, label: Sequence[str]) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    radius = 14 if state.kind == "hangup" else 4
    rows = "".join(
        f'<text x="{left + PAD:.1f}" y="{top + PAD + LINE * index + EM * 0.85:.1f}" '
        f'font-weight="{400 if index else 600}">{escape(line)}</text>'
        for index, line in enumerate(label)
    )
    return (
        f'<g><rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}" '
        f'fill="{COLOURS.get(state.kind, "#f8f9fa")}" stroke="#5f6368"/>{rows}</g>'
    )


def _draw_edges(edges: Sequence[tuple[str, str, str]], boxes: Mapping[str, Box]) -> tuple[list[str], float]:
    """The edges and the picture's width. An edge to the next layer is a curve; any other goes round by a lane at the
    right, one lane for each target."""
    right = max(box.x + box.width / 2 for box in boxes.values())
    direct = {edge for edge in edges if boxes[edge[1]].layer == boxes[edge[0]].layer + 1}
    round_about = [target for target in boxes if any(e[1] == target for e in edges if e not in direct)]
    lanes = {target: right + LANE * (index + 1) for index, target in enumerate(round_about)}
    leave, arrive = _ports(edges, boxes, lanes, direct)
    lines: list[str] = []
    labels: list[str] = []  # after all lines, so that none crosses out a label
    for edge in edges:
        source, target, label = edge
        start, end = boxes[source], boxes[target]
        x1, y1, y2 = leave[edge], start.y + start.height / 2, end.y - end.height / 2
        labels.append(_edge_label(label, x1, y1 + 15))
        if edge in direct:
            x2, middle = arrive[edge], (y1 + y2) / 2
            path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
            lines.append(_curve(path, "#5f6368"))
            continue
        number = round_about.index(target)
        spread = (number % 8) * 3.5
        turn, back = _bottom(boxes, start.layer) + 22 + spread, _top(boxes, end.layer) - 8 - (number % 4) * 3
        x2 = end.x + end.width / 2 - PAD
        path = f"M{x1:.1f} {y1:.1f}V{turn:.1f}H{lanes[target]:.1f}V{back:.1f}H{x2:.1f}V{y2:.1f}"
        lines.append(_curve(path, LANE_COLOURS[number % len(LANE_COLOURS)]))
    return lines + labels, max([right, *lanes.values()])


def _ports(
    edges: Sequence[tuple[str, str, str]],
    boxes: Mapping[str, Box],
    lanes: Mapping[str, float],
    direct: Collection[tuple[str, str, str]],
) -> tuple[dict[tuple[str, str, str], float], dict[tuple[str, str, str], float]]:
    """Where each edge leaves the lower side of its source, as wide as its label needs, and where direct edges meet the
    upper side of their target."""
    leave: dict[tuple[str, str, str], float] = {}
    arrive: dict[tuple[str, str, str], float] = {}
    for name, box in boxes.items():
        going = [edge for edge in edges if edge[0] == name]
        going.sort(key=lambda edge: boxes[edge[1]].x if edge in direct else lanes[edge[1]])
        x = box.x - sum(_label_width(label) for _, _, label in going) / 2
        for edge in going:
            width = _label_width(edge[2])
            leave[edge] = x + width / 2
            x += width
        coming = sorted((edge for edge in direct if edge[1] == name), key=lambda edge: boxes[edge[0]].x)
        for index, edge in enumerate(coming, start=1):
            arrive[edge] = box.x + (box.width - 4 * PAD) * (index / (len(coming) + 1) - 0.5)
    return leave, arrive


def _bottom(boxes: Mapping[str, Box], layer: int) -> float:
    return max(box.y + box.height / 2 for box in boxes.values() if box.layer == layer)


def _top(boxes: Mapping[str, Box], layer: int) -> float:
    return min(box.y - box.height / 2 for box in boxes.values() if box.layer == layer)


def _curve(path: str, colour: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-linejoin="round" marker-end="url(#tip)"/>'


def _label_width(label: str) -> float:
    return _ems(label) * LABEL_EM + 10


def _edge_label(label: str, x: float, y: float) -> str:
    if not label:
        return ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{LABEL_EM:.0f}" fill="#1a56b0" stroke="#fff" '
        f'stroke-width="3" paint-order="stroke">{escape(label)}</text>'
    )
