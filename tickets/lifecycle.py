"""The states of a ticket and what may happen in each.

- A ticket is accepted, dispatched to a unit, signed in, handled, reviewed, the caller is called back; then it is closed
  and at last archived.
- At acceptance it may end at once instead: answered directly, transferred to 110/119/120, merged or refused.
- A unit may ask to return a ticket only before it has signed in; a reviewer decides.
- What was accepted by rule may be taken back until it is dispatched.
- While it is handled it may go into deliberation, wait for an extension's review, or be suspended; each leads back.
- A dissatisfied call-back sends it to the same unit again (redo), a second time under supervision.
- Some commands leave the state as it is: what is done on the way, notes, corrections, flags, instructions.
- Whatever is not in the table is refused.

Who may give a command, and how often, is in `tickets.command_rules` and `tickets.guards`.
"""

from enum import StrEnum

from hotline.errors import ConflictError


class State(StrEnum):
    """Where a ticket is. The value is what the database holds."""

    ACCEPTING = "accepting"
    TO_DISPATCH = "to_dispatch"
    TO_SIGN = "to_sign"
    RETURN_REVIEW = "return_review"
    HANDLING = "handling"
    DELIBERATING = "deliberating"
    EXTENSION_REVIEW = "extension_review"
    SUSPENDED = "suspended"
    TO_REVIEW = "to_review"
    TO_CALL_BACK = "to_call_back"
    SUPERVISED = "supervised"
    CLOSED = "closed"
    ARCHIVED = "archived"
    ANSWERED_DIRECTLY = "answered_directly"
    TRANSFERRED = "transferred"
    MERGED = "merged"
    REFUSED = "refused"

    @property
    def label(self) -> str:
        """What people see."""
        return STATE_LABELS[self]


class Command(StrEnum):
    """What a person or a rule does to a ticket."""

    ACCEPT = "accept"
    ANSWER_DIRECTLY = "answer_directly"
    TRANSFER = "transfer"
    MERGE = "merge"
    REFUSE = "refuse"
    DISPATCH = "dispatch"
    SIGN_IN = "sign_in"
    ASK_RETURN = "ask_return"
    GRANT_RETURN = "grant_return"
    DENY_RETURN = "deny_return"
    DELIBERATE = "deliberate"
    CONCLUDE = "conclude"
    ASK_EXTENSION = "ask_extension"
    DECIDE_EXTENSION = "decide_extension"
    SUSPEND = "suspend"
    RESUME = "resume"
    SUBMIT = "submit"
    SEND_BACK = "send_back"
    APPROVE = "approve"
    CLOSE = "close"
    REDO = "redo"
    SUPERVISE = "supervise"
    ARCHIVE = "archive"
    RECONSIDER = "reconsider"
    CONTACT = "contact"
    ARRIVE = "arrive"
    RECORD = "record"
    OPINION = "opinion"
    EDIT = "edit"
    NOTE = "note"
    FLAG = "flag"
    UNFLAG = "unflag"
    NAME_READERS = "name_readers"
    INSTRUCT = "instruct"
    URGE = "urge"
    CALL_BACK = "call_back"
    APPEAL = "appeal"
    DECIDE_APPEAL = "decide_appeal"

    @property
    def label(self) -> str:
        """What people see."""
        return COMMAND_LABELS[self]


ENDED = frozenset(
    {
        State.CLOSED,
        State.ARCHIVED,
        State.ANSWERED_DIRECTLY,
        State.TRANSFERRED,
        State.MERGED,
        State.REFUSED,
    }
)
"""Nothing is owed any more."""
_OPEN = frozenset(State) - ENDED
_WORKING = frozenset({State.HANDLING, State.DELIBERATING, State.SUSPENDED, State.SUPERVISED})
_STAYS: dict[Command, frozenset[State]] = {
    Command.CONTACT: _WORKING | {State.EXTENSION_REVIEW},
    Command.ARRIVE: _WORKING | {State.EXTENSION_REVIEW},
    Command.RECORD: _WORKING | {State.EXTENSION_REVIEW},
    Command.OPINION: frozenset({State.DELIBERATING}),
    Command.EDIT: _OPEN,
    Command.NOTE: frozenset(State) - {State.ARCHIVED},
    Command.FLAG: frozenset(State) - {State.ARCHIVED},
    Command.UNFLAG: frozenset(State) - {State.ARCHIVED},
    Command.NAME_READERS: frozenset(State) - {State.ARCHIVED},
    Command.INSTRUCT: _OPEN,
    Command.URGE: _OPEN - {State.ACCEPTING},
    Command.CALL_BACK: frozenset({State.TO_CALL_BACK}),
    Command.APPEAL: frozenset(State) - {State.ARCHIVED},
    Command.DECIDE_APPEAL: frozenset(State) - {State.ARCHIVED},
}
TRANSITIONS: dict[tuple[State, Command], State] = {
    (State.ACCEPTING, Command.ACCEPT): State.TO_DISPATCH,
    (State.ACCEPTING, Command.ANSWER_DIRECTLY): State.ANSWERED_DIRECTLY,
    (State.ACCEPTING, Command.TRANSFER): State.TRANSFERRED,
    (State.ACCEPTING, Command.MERGE): State.MERGED,
    (State.ACCEPTING, Command.REFUSE): State.REFUSED,
    (State.TO_DISPATCH, Command.DISPATCH): State.TO_SIGN,
    (State.TO_DISPATCH, Command.RECONSIDER): State.ACCEPTING,
    (State.TO_SIGN, Command.SIGN_IN): State.HANDLING,
    (State.TO_SIGN, Command.ASK_RETURN): State.RETURN_REVIEW,
    (State.RETURN_REVIEW, Command.GRANT_RETURN): State.TO_DISPATCH,
    (State.RETURN_REVIEW, Command.DENY_RETURN): State.TO_SIGN,
    (State.HANDLING, Command.DELIBERATE): State.DELIBERATING,
    (State.DELIBERATING, Command.CONCLUDE): State.HANDLING,
    (State.HANDLING, Command.ASK_EXTENSION): State.EXTENSION_REVIEW,
    (State.EXTENSION_REVIEW, Command.DECIDE_EXTENSION): State.HANDLING,
    (State.HANDLING, Command.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Command.RESUME): State.HANDLING,
    (State.HANDLING, Command.SUBMIT): State.TO_REVIEW,
    (State.TO_REVIEW, Command.SEND_BACK): State.HANDLING,
    (State.TO_REVIEW, Command.APPROVE): State.TO_CALL_BACK,
    (State.TO_CALL_BACK, Command.CLOSE): State.CLOSED,
    (State.TO_CALL_BACK, Command.REDO): State.TO_SIGN,
    (State.TO_CALL_BACK, Command.SUPERVISE): State.SUPERVISED,
    (State.SUPERVISED, Command.SUBMIT): State.TO_REVIEW,
    (State.CLOSED, Command.ARCHIVE): State.ARCHIVED,
    **{(state, command): state for command, states in _STAYS.items() for state in State if state in states},
}

STATE_LABELS: dict[State, str] = {
    State.ACCEPTING: "受理中",
    State.TO_DISPATCH: "待派单",
    State.TO_SIGN: "待签收",
    State.RETURN_REVIEW: "退单待审",
    State.HANDLING: "办理中",
    State.DELIBERATING: "会商中",
    State.EXTENSION_REVIEW: "延期待审",
    State.SUSPENDED: "挂账",
    State.TO_REVIEW: "待审核",
    State.TO_CALL_BACK: "待回访",
    State.SUPERVISED: "督办",
    State.CLOSED: "已办结",
    State.ARCHIVED: "已归档",
    State.ANSWERED_DIRECTLY: "直接答复",
    State.TRANSFERRED: "已转110/119/120",
    State.MERGED: "已并单",
    State.REFUSED: "不予受理",
}

COMMAND_LABELS: dict[Command, str] = {
    Command.ACCEPT: "受理",
    Command.ANSWER_DIRECTLY: "直接答复",
    Command.TRANSFER: "转110/119/120",
    Command.MERGE: "并单",
    Command.REFUSE: "不予受理",
    Command.DISPATCH: "派单",
    Command.SIGN_IN: "签收",
    Command.ASK_RETURN: "申请退单",
    Command.GRANT_RETURN: "同意退单",
    Command.DENY_RETURN: "驳回退单",
    Command.DELIBERATE: "发起会商",
    Command.CONCLUDE: "结束会商",
    Command.ASK_EXTENSION: "申请延期",
    Command.DECIDE_EXTENSION: "审定延期",
    Command.SUSPEND: "挂账",
    Command.RESUME: "恢复办理",
    Command.SUBMIT: "提交办理结果",
    Command.SEND_BACK: "退回重办",
    Command.APPROVE: "审核通过",
    Command.CLOSE: "办结",
    Command.REDO: "重办",
    Command.SUPERVISE: "转督办",
    Command.ARCHIVE: "归档",
    Command.RECONSIDER: "退回受理",
    Command.CONTACT: "联系诉求人",
    Command.ARRIVE: "到场",
    Command.RECORD: "记录办理情况",
    Command.OPINION: "会商意见",
    Command.EDIT: "修改要素",
    Command.NOTE: "备注",
    Command.FLAG: "标记",
    Command.UNFLAG: "取消标记",
    Command.NAME_READERS: "指定知情人",
    Command.INSTRUCT: "批示",
    Command.URGE: "催办",
    Command.CALL_BACK: "登记回访",
    Command.APPEAL: "申诉",
    Command.DECIDE_APPEAL: "裁定申诉",
}


def next_state(state: State, command: Command) -> State:
    """The state that `command` leads to; raises `ConflictError` where the table does not list it."""
    try:
        return TRANSITIONS[state, command]
    except KeyError:
        moves = [item for item in allowed_commands(state) if TRANSITIONS[state, item] is not state]
        allowed = "、".join(item.label for item in moves) or "无"
        raise ConflictError(f"工单{state.label}，不能{command.label}", hint=f"可以：{allowed}") from None


def allowed_commands(state: State) -> tuple[Command, ...]:
    """What may be done in `state`, in the table's order."""
    return tuple(command for (source, command) in TRANSITIONS if source is state)
