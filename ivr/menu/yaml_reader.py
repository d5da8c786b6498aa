"""Reads a site's YAML files by their nodes, which know file and line, and gathers every problem instead of the first.

A reading method that finds something wrong notes a `Problem` and returns a harmless value, so that reading goes on.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

Node = yaml.Node


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a file; `line` counts from 1."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path} line {self.line}: {self.message}"


class YamlReader:
    """Turns nodes into values. `problems` grows while it reads."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def load(self, path: Path) -> Node | None:
        """The top node of a file; None, with a problem, where it can't be read."""
        try:
            loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
            loader.name = str(path)  # the nodes' marks carry it
            node = loader.get_single_node()
        except OSError as error:
            self.problems.append(Problem(str(path), 1, error.strerror or str(error)))
            return None
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark is not None else 1
            reason = getattr(error, "problem", None) or str(error)
            self.problems.append(Problem(str(path), line, f"not valid YAML: {reason}"))
            return None
        if node is None:
            self.problems.append(Problem(str(path), 1, "the file is empty"))
        return node

    def wrong(self, node: Node, message: str) -> None:
        """Notes a problem at a node."""
        self.problems.append(Problem(str(node.start_mark.name), node.start_mark.line + 1, message))

    def mapping(self, node: Node | None, *, known: frozenset[str] | None = None) -> dict[str, Node]:
        """Key -> node; empty for None. Keys that stand twice or are not `known` are problems."""
        out: dict[str, Node] = {}
        if node is None:
            return out
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "a mapping is needed here")
            return out
        for key, value in node.value:
            name = str(key.value)
            if name in out:
                self.wrong(key, f"{name} stands twice")
            elif known is not None and name not in known:
                self.wrong(key, f"unknown key {name}; known: {', '.join(sorted(known))}")
            else:
                out[name] = value
        return out

    def items(self, node: Node | None) -> list[Node]:
        """The nodes of a list; empty for None."""
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, "a list is needed here")
            return []
        return list(node.value)

    def need(self, parent: Node, mapping: dict[str, Node], key: str) -> Node | None:
        """The node of a key that must be there."""
        if key not in mapping:
            self.wrong(parent, f"{key} is missing")
        return mapping.get(key)

    def text(self, node: Node | None, default: str = "") -> str:
        """A scalar's text, which must not be empty; `default` for None."""
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            self.wrong(node, "a text is needed here")
            return default
        return str(node.value)

    def choice(self, node: Node | None, known: tuple[str, ...], default: str) -> str:
        """One of `known`."""
        value = self.text(node, default)
        if value not in known and node is not None:
            self.wrong(node, f"{value} is none of {', '.join(known)}")
            return default
        return value

    def texts(self, node: Node | None) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self.text(item) for item in self.items(node))

    def seconds(self, node: Node | None, default: float) -> float:
        """A time: more than 0, at most 3600."""
        value = self._number(node, default)
        if not 0 < value <= 3600:
            assert node is not None
            self.wrong(node, "seconds between 0 and 3600 are needed here")
            return default
        return value

    def count(self, node: Node | None, default: int, *, least: int, most: int) -> int:
        """A whole number between `least` and `most`."""
        value = self._number(node, default)
        if not least <= value <= most or value != int(value):
            assert node is not None
            self.wrong(node, f"a whole number from {least} to {most} is needed here")
            return default
        return int(value)

    def flag(self, node: Node | None, default: bool) -> bool:
        """`true` or `false`."""
        return self.choice(node, ("true", "false"), str(default).lower()) == "true"

    def _number(self, node: Node | None, default: float) -> float:
        if node is None:
            return default
        try:
            return float(self.text(node))
        except ValueError:
            return float("nan")  # out of every bound
