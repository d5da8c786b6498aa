"""`hotline control ...`: what an operator at the machine can do with calls in progress and with seats."""

import getpass
import json
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.bus import ValkeyBus
from hotline.clock import SystemClock
from hotline.commands import Command, send_and_wait
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from hotline.settings import Settings, load_settings
from hotline.valkey_commands import open_commands

app = typer.Typer(no_args_is_help=True, help="控制进行中的通话和座席")
seat_app = typer.Typer(no_args_is_help=True, help="座席签入、签出、示闲、示忙")
app.add_typer(seat_app, name="seat")
out = Console()

SIDES = {"in": "呼入", "out": "呼出"}
SEAT_STATES = {"ready": "空闲", "ringing": "振铃", "talking": "通话", "paused": "话后处理", "away": "示忙"}

CallArgument = Annotated[str, typer.Argument(metavar="CALL", help="通话号，可只写开头；calls 命令列出")]
PartyArgument = Annotated[str, typer.Argument(metavar="PARTY", help="caller（来电人）、分机号或被叫号码")]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="分机号或外线号码")]
SeatArgument = Annotated[str, typer.Argument(metavar="SEAT", help="座席的分机号")]
ToOption = Annotated[str, typer.Option(help="对哪一方")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]
WaitOption = Annotated[float, typer.Option("--timeout", min=0.1, max=60.0, help="最多等待几秒")]
WAIT_S = 5.0


@app.command(help="列出进行中的通话和各方")
def calls(as_json: JsonOption = False) -> None:
    """The calls in progress, from what the media processes tell the bus."""
    with _bus(load_settings()) as bus:
        states = _calls(bus)
    rows = sorted(states.items(), key=lambda item: str(item[1]["answered_at"] or "~"))
    if as_json:
        found = [{k: v for k, v in state.items() if k != "captions"} | {"call_id": key} for key, state in rows]
        _print_json({"calls": found})
        return
    table = Table("通话号", "节点", "方向", "主叫", "被叫", "接通时间", "各方")
    shown = shortest(states)
    for key, state in rows:
        table.add_row(
            key[:shown],
            escape(str(state.get("node", ""))),
            SIDES.get(str(state.get("direction")), ""),
            escape(str(state.get("caller", ""))),
            escape(str(state.get("called", ""))),
            _local_time(state["answered_at"]) if state["answered_at"] else "振铃",
            "、".join(_party(party) for party in state.get("parties", ())),
        )
    out.print(table)


@app.command(help="列出签入的座席")
def seats(as_json: JsonOption = False) -> None:
    """The seats that are signed in, from what the media processes tell the bus."""
    with _bus(load_settings()) as bus:
        states = bus.states("seats")
    found = {seat["seat"]: seat for state in states.values() for seat in state["seats"]}
    rows = [found[name] for name in sorted(found)]
    if as_json:
        _print_json({"seats": rows})
        return
    table = Table("座席", "状态", "队列", "技能", "通话号")
    for seat in rows:
        state = SEAT_STATES.get(seat["state"], seat["state"])
        table.add_row(seat["seat"], state, "、".join(seat["queues"]), "、".join(seat["skills"]), seat["call_id"][:8])
    out.print(table)


@app.command(help="接听还在振铃的来电")
def answer(call: CallArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """Take an inbound call that still rings."""
    _on_call("answer", call, as_json, wait_s)


@app.command(help="挂断；不写 --party 则结束整个通话")
def hang_up(
    call: CallArgument,
    party: Annotated[str, typer.Option(help="只挂断这一方")] = "caller",
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """End a call, or let one party leave."""
    _on_call("hang_up", call, as_json, wait_s, party=party)


@app.command(help="保持：这一方听音乐")
def hold(call: CallArgument, party: PartyArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The party hears music."""
    _on_call("hold", call, as_json, wait_s, party=party)


@app.command(help="取消保持")
def resume(call: CallArgument, party: PartyArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The held party is back."""
    _on_call("resume", call, as_json, wait_s, party=party)


@app.command(help="静音：别人听不到这一方")
def mute(call: CallArgument, party: PartyArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The party is not heard."""
    _on_call("mute", call, as_json, wait_s, party=party)


@app.command(help="取消静音")
def unmute(call: CallArgument, party: PartyArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The party is heard again."""
    _on_call("unmute", call, as_json, wait_s, party=party)


@app.command(help="直接转接：PARTY 退出，TARGET 振铃")
def transfer(
    call: CallArgument,
    party: PartyArgument,
    target: TargetArgument,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Blind transfer."""
    _on_call("transfer", call, as_json, wait_s, party=party, target=target)


@app.command(help="咨询转接：PARTY 先与 TARGET 通话，来电人听音乐")
def consult(
    call: CallArgument,
    party: PartyArgument,
    target: TargetArgument,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Attended transfer: the consultation."""
    _on_call("consult", call, as_json, wait_s, party=party, target=target)


@app.command(help="完成咨询转接：PARTY 退出")
def complete_transfer(
    call: CallArgument, party: PartyArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S
) -> None:
    """Attended transfer: whom the party consulted talks to the others."""
    _on_call("complete_transfer", call, as_json, wait_s, party=party)


@app.command(help="取消咨询：PARTY 回到通话")
def cancel_consultation(
    call: CallArgument, party: PartyArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S
) -> None:
    """Attended transfer: back to the others."""
    _on_call("cancel_consultation", call, as_json, wait_s, party=party)


@app.command(help="转到队列：PARTY 退出，来电人排队等候")
def queue(
    call: CallArgument,
    party: PartyArgument,
    name: Annotated[str, typer.Argument(metavar="QUEUE", help="队列名")],
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Transfer to a queue."""
    _on_call("transfer_to_queue", call, as_json, wait_s, party=party, queue=name)


@app.command(help="会议：TARGET 振铃后加入通话")
def conference(
    call: CallArgument, target: TargetArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S
) -> None:
    """Another one joins."""
    _on_call("conference", call, as_json, wait_s, target=target)


@app.command(help="监听、密语或强插；班长已在通话中则改变方式")
def supervise(
    call: CallArgument,
    extension: Annotated[str, typer.Argument(metavar="EXTENSION", help="班长席的分机号")],
    mode: Annotated[str, typer.Argument(metavar="MODE", help="listen | whisper | barge")] = "listen",
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """A supervisor listens in."""
    _on_call("supervise", call, as_json, wait_s, extension=extension, mode=mode)


@app.command(help="播放语音提示，或 say:123（逐字）、count:12（数量）、ordinal:3（序数）")
def play(
    call: CallArgument,
    items: Annotated[list[str], typer.Argument(metavar="ITEM...", help="提示的名字或要读的内容")],
    to: ToOption = "caller",
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Play prompts to a party."""
    _on_call("play", call, as_json, wait_s, items=items, to=to)


@app.command(help="发送按键：0-9、*、#、A-D")
def digits(
    call: CallArgument,
    keys: Annotated[str, typer.Argument(metavar="DIGITS")],
    to: ToOption = "caller",
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Press keys towards a party."""
    _on_call("send_digits", call, as_json, wait_s, digits=keys, to=to)


@app.command(help="暂停录音：录音里是静音")
def pause_recording(call: CallArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The recording gets silence."""
    _on_call("pause_recording", call, as_json, wait_s)


@app.command(help="继续录音")
def resume_recording(call: CallArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The recording gets audio again."""
    _on_call("resume_recording", call, as_json, wait_s)


@app.command(help="点击拨号：先呼分机，接听后再呼号码")
def dial(
    extension: Annotated[str, typer.Argument(metavar="EXTENSION", help="分机号")],
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="要拨打的号码")],
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Ring an extension, then a number."""
    _anywhere("dial_out", as_json, wait_s, call_id=uuid.uuid4().hex, extension=extension, number=number)


@app.command(help="外呼号码，接听后进入流程")
def flow(
    name: Annotated[str, typer.Argument(metavar="FLOW", help="流程名，例如 survey")],
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="要拨打的号码")],
    variable: Annotated[list[str] | None, typer.Option(help="带入流程的变量 NAME=VALUE，可多次给出")] = None,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """Ring a number, which enters a flow."""
    variables = {}
    for item in variable or ():
        key, mark, value = item.partition("=")
        if not mark:
            raise InvalidInputError(f"{item[:40]!r} is not NAME=VALUE")
        variables[key] = value
    _anywhere("start_flow", as_json, wait_s, call_id=uuid.uuid4().hex, flow=name, number=number, variables=variables)


@seat_app.command("sign-in", help="签入：接听这些队列")
def seat_sign_in(
    seat: SeatArgument,
    queue: Annotated[list[str], typer.Option(help="接听的队列，可多次给出")],
    skill: Annotated[list[str] | None, typer.Option(help="技能，可多次给出")] = None,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
) -> None:
    """The seat takes calls of these queues."""
    _anywhere("seat_sign_in", as_json, wait_s, seat=seat, queues=queue, skills=skill or [])


@seat_app.command("sign-out", help="签出")
def seat_sign_out(seat: SeatArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The seat is gone."""
    _anywhere("seat_sign_out", as_json, wait_s, seat=seat)


@seat_app.command("ready", help="示闲")
def seat_ready(seat: SeatArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The seat takes calls."""
    _anywhere("seat_ready", as_json, wait_s, seat=seat)


@seat_app.command("away", help="示忙")
def seat_away(seat: SeatArgument, as_json: JsonOption = False, wait_s: WaitOption = WAIT_S) -> None:
    """The seat takes no calls."""
    _anywhere("seat_away", as_json, wait_s, seat=seat)


def shortest(ids: Collection[str]) -> int:
    """How many characters tell the ids apart; at least 8."""
    return next(length for length in range(8, 65) if len({key[:length] for key in ids}) == len(ids))


@contextmanager
def _bus(settings: Settings) -> Iterator[ValkeyBus]:
    bus = ValkeyBus(settings.effective_valkey_url())
    try:
        yield bus
    finally:
        bus.close()


def _calls(bus: ValkeyBus) -> dict[str, dict[str, Any]]:
    """The calls in progress and those that still ring, which have not been answered at any time."""
    ringing = {key: state | {"answered_at": None} for key, state in bus.states("ringing").items()}
    return ringing | {key: {"answered_at": ""} | state for key, state in bus.states("call").items()}


def _on_call(name: str, call: str, as_json: bool, wait_s: float, **arguments: Any) -> None:
    """A command to the node that has the call, which is named by its id or the beginning of it."""
    settings = load_settings()
    with _bus(settings) as bus:
        states = _calls(bus)
        found = [call] if call in states else [key for key in states if key.startswith(call)]
        if not found:
            raise NotFoundError(f"no call in progress is named {call}", hint="`hotline control calls` lists them")
        if len(found) > 1:
            raise ConflictError(f"{len(found)} calls in progress begin with {call}", hint="write more of the id")
        _send(settings, bus, name, str(states[found[0]]["node"]), found[0], arguments, as_json, wait_s)


def _anywhere(name: str, as_json: bool, wait_s: float, call_id: str = "", **arguments: Any) -> None:
    """A command to whichever media process takes it."""
    settings = load_settings()
    with _bus(settings) as bus:
        _send(settings, bus, name, None, call_id, arguments, as_json, wait_s)


def _send(
    settings: Settings,
    bus: ValkeyBus,
    name: str,
    node: str | None,
    call_id: str,
    arguments: dict[str, Any],
    as_json: bool,
    wait_s: float,
) -> None:
    command = Command(
        name=name, at=SystemClock().now(), call_id=call_id, arguments=arguments, actor=f"cli:{getpass.getuser()}"
    )
    commands = open_commands(settings)
    try:
        outcome = send_and_wait(commands, bus, command, node=node, timeout_s=wait_s)
    finally:
        commands.close()
    if as_json:
        told = {"command_id": command.id, "name": name, "call_id": call_id, "done": outcome.done}
        _print_json(told if outcome.done else {**told, "error": outcome.error})
        if not outcome.done:
            raise typer.Exit(1)
    elif outcome.error is not None:
        raise ConflictError(outcome.error)
    else:
        out.print(f"[green]✓[/] 已执行{f'，通话号 {call_id}' if call_id else ''}", highlight=False, soft_wrap=True)


def _party(party: dict[str, Any]) -> str:
    marks = [word for key, word in (("held", "保持"), ("muted", "静音")) if party.get(key)]
    name = "来电人" if party["name"] == "caller" else str(party["name"])
    return escape(f"{name}（{'、'.join(marks)}）" if marks else name)


def _local_time(text: object) -> str:
    """The time of day of an ISO 8601 text on this machine's clock."""
    try:
        return datetime.fromisoformat(str(text)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ""


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
