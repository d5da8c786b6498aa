"""What is wrong with a flow's graph: states never reached, dead ends, loops that a silent caller never leaves.

An edge is passive where a caller who does nothing takes it in the end (a prompt ends, time passes, a test is made). A
cycle of passive edges would go round for ever, so it is refused; this is also what lets the machine follow conditions
without counting steps.
"""

from collections.abc import Callable, Iterable, Mapping

from ivr.menu.flow import Flow, FlowState
from ivr.menu.yaml_reader import Problem

Graph = Mapping[str, tuple[str, ...]]


def problems_of(flow: Flow, *, main: str) -> list[Problem]:
    """All problems of the graph. States of included files that the `main` file does not use are no problem."""
    every = _graph(flow, lambda passive: True)
    reached = _closure(_starts(flow), every)
    unreached = [name for name, state in flow.states.items() if name not in reached and state.file == main]
    problems = [_at(flow.states[name], _never_reached(name, after)) for name, after in _roots(every, unreached)]
    ends = [
        name
        for name, state in flow.states.items()
        if state.kind == "hangup" or any(target not in flow.states for _, target, _ in state.edges())
    ]
    leaving = _closure(ends, _reversed(every))
    problems += [
        _at(flow.states[name], f"state {name} is a dead end: no way leads to a hangup")
        for name in sorted(reached - leaving)
    ]
    passive = _graph(flow, lambda passive: passive)
    for loop in _cycles(passive, reached):
        problems.append(_at(flow.states[loop[0]], f"endless loop without input: {' -> '.join((*loop, loop[0]))}"))
    return problems


def reachable(flow: Flow) -> set[str]:
    """The states that some call may come to."""
    return _closure(_starts(flow), _graph(flow, lambda passive: True))


def _never_reached(name: str, after: set[str]) -> str:
    return f"state {name} is never reached" + (f", nor are {', '.join(sorted(after))}" if after else "")


def _roots(graph: Graph, names: Iterable[str]) -> list[tuple[str, set[str]]]:
    """Those of `names` that no other of them leads to (one of a ring), and the others that follow from each."""
    among = dict.fromkeys(names)
    follow = {name: _closure([name], graph) & among.keys() for name in among}
    told: set[str] = set()
    roots: list[tuple[str, set[str]]] = []
    for name in among:
        led_to = any(name in follow[other] and other not in follow[name] for other in among)
        if not led_to and name not in told:
            roots.append((name, follow[name] - {name}))
            told |= follow[name]
    return roots


def _starts(flow: Flow) -> list[str]:
    return [name for name in (flow.start, *flow.entries.values()) if name in flow.states]


def _at(state: FlowState, message: str) -> Problem:
    return Problem(state.file, state.line, message)


def _graph(flow: Flow, wanted: Callable[[bool], bool]) -> Graph:
    return {
        name: tuple(target for _, target, passive in state.edges() if wanted(passive) and target in flow.states)
        for name, state in flow.states.items()
    }


def _reversed(graph: Graph) -> Graph:
    out: dict[str, list[str]] = {name: [] for name in graph}
    for name, targets in graph.items():
        for target in targets:
            out[target].append(name)
    return {name: tuple(sources) for name, sources in out.items()}


def _closure(starts: Iterable[str], graph: Graph) -> set[str]:
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(graph[name])
    return seen


def _cycles(graph: Graph, among: set[str]) -> list[tuple[str, ...]]:
    """One cycle through each group of states that reach one another."""
    cycles: list[tuple[str, ...]] = []
    told: set[str] = set()
    for name in graph:
        if name in among and name not in told:
            path = _way(graph, name, name)
            if path:
                cycles.append(path)
                told.update(path)
    return cycles


def _way(graph: Graph, start: str, goal: str) -> tuple[str, ...]:
    """The shortest way from `start` over at least one edge to `goal`, without the goal itself; empty where none is."""
    paths: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    for path in paths:  # grows while it is walked: breadth first
        for target in graph[path[-1]]:
            if target == goal:
                return path
            if target not in seen:
                seen.add(target)
                paths.append((*path, target))
    return ()
