import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConflictError
from tickets.lifecycle import (
    COMMAND_LABELS,
    STATE_LABELS,
    TRANSITIONS,
    Command,
    State,
    allowed_commands,
    next_state,
)

ENDINGS = {State.ARCHIVED, State.ANSWERED_DIRECTLY, State.TRANSFERRED, State.MERGED, State.REFUSED}


def walk(*commands: Command) -> State:
    state = State.ACCEPTING
    for command in commands:
        state = next_state(state, command)
    return state


def test_the_usual_way_leads_from_acceptance_to_the_archive() -> None:
    assert (
        walk(
            Command.ACCEPT,
            Command.DISPATCH,
            Command.SIGN_IN,
            Command.SUBMIT,
            Command.APPROVE,
            Command.CLOSE,
            Command.ARCHIVE,
        )
        is State.ARCHIVED
    )


def test_return_can_be_asked_for_only_before_sign_in() -> None:
    assert walk(Command.ACCEPT, Command.DISPATCH, Command.ASK_RETURN) is State.RETURN_REVIEW
    with pytest.raises(ConflictError, match="办理中，不能申请退单"):
        walk(Command.ACCEPT, Command.DISPATCH, Command.SIGN_IN, Command.ASK_RETURN)


@pytest.mark.parametrize(
    ("decision", "state"), [(Command.GRANT_RETURN, State.TO_DISPATCH), (Command.DENY_RETURN, State.TO_SIGN)]
)
def test_reviewer_decides_a_return(decision: Command, state: State) -> None:
    assert next_state(State.RETURN_REVIEW, decision) is state


@pytest.mark.parametrize(
    ("leave", "come_back"),
    [
        (Command.DELIBERATE, Command.CONCLUDE),
        (Command.ASK_EXTENSION, Command.DECIDE_EXTENSION),
        (Command.SUSPEND, Command.RESUME),
        (Command.SUBMIT, Command.SEND_BACK),
    ],
)
def test_every_detour_of_handling_leads_back_to_it(leave: Command, come_back: Command) -> None:
    assert next_state(next_state(State.HANDLING, leave), come_back) is State.HANDLING


def test_redo_goes_to_the_unit_for_sign_in_again() -> None:
    assert next_state(State.TO_CALL_BACK, Command.REDO) is State.TO_SIGN


def test_refusal_names_the_state_the_command_and_what_is_possible() -> None:
    with pytest.raises(ConflictError) as caught:
        next_state(State.TO_DISPATCH, Command.CLOSE)
    assert caught.value.message == "工单待派单，不能办结"
    assert caught.value.hint == "可以：派单、退回受理"


def test_nothing_is_possible_after_an_ending_and_everything_else_goes_on() -> None:
    moves = {state for (state, _), after in TRANSITIONS.items() if after is not state}
    assert set(State) - moves == ENDINGS
    assert allowed_commands(State.ARCHIVED) == ()


def test_every_state_can_be_reached_and_every_command_is_used() -> None:
    reached, frontier = {State.ACCEPTING}, [State.ACCEPTING]
    while frontier:
        state = frontier.pop()
        for command in allowed_commands(state):
            after = next_state(state, command)
            if after not in reached:
                reached.add(after)
                frontier.append(after)
    assert reached == set(State)
    assert {command for _, command in TRANSITIONS} == set(Command)


def test_every_state_and_command_has_a_label_of_its_own() -> None:
    assert set(STATE_LABELS) == set(State)
    assert set(COMMAND_LABELS) == set(Command)
    assert len(set(STATE_LABELS.values())) == len(State)
    assert len(set(COMMAND_LABELS.values())) == len(Command)


@given(commands=st.lists(st.sampled_from(Command), max_size=40))
def test_any_sequence_moves_along_the_table_or_is_refused_without_effect(commands: list[Command]) -> None:
    state = State.ACCEPTING
    for command in commands:
        if command in allowed_commands(state):
            state = next_state(state, command)
        else:
            with pytest.raises(ConflictError):
                next_state(state, command)
    assert state in State
