"""How a queue works, as a flow file says it."""

from dataclasses import dataclass
from enum import StrEnum

from ivr.menu.yaml_reader import Node, YamlReader


class Strategy(StrEnum):
    """Which of the ready seats ring."""

    RING_ALL = "ring_all"
    RING_ONE = "ring_one"  # the first that is ready, in order of sign-in
    ROUND_ROBIN = "round_robin"  # the one after the last that rang
    LONGEST_IDLE = "longest_idle"


@dataclass(frozen=True)
class QueueRule:
    """How a queue works; times in seconds. `talk_s` is what a conversation takes until some have been measured."""

    name: str
    strategy: Strategy = Strategy.LONGEST_IDLE
    priority: int = 0
    skills: frozenset[str] = frozenset()
    max_length: int = 50
    max_wait_s: float = 600.0
    ring_s: float = 15.0
    wrap_up_s: float = 20.0
    announce_every_s: float = 45.0
    talk_s: float = 180.0


def read_queue(reader: YamlReader, name: str, node: Node) -> QueueRule:
    """One entry of a flow's `queues`."""
    keys = ("strategy", "priority", "skills", "max_length", "max_wait_s", "ring_s", "wrap_up_s", "announce_every_s")
    parts = reader.mapping(node, known=frozenset((*keys, "talk_s")))
    rule = QueueRule(name)
    return QueueRule(
        name=name,
        strategy=Strategy(reader.choice(parts.get("strategy"), tuple(Strategy), rule.strategy)),
        priority=reader.count(parts.get("priority"), rule.priority, least=-100, most=100),
        skills=frozenset(reader.texts(parts.get("skills"))),
        max_length=reader.count(parts.get("max_length"), rule.max_length, least=1, most=1000),
        max_wait_s=reader.seconds(parts.get("max_wait_s"), rule.max_wait_s),
        ring_s=reader.seconds(parts.get("ring_s"), rule.ring_s),
        wrap_up_s=reader.seconds(parts.get("wrap_up_s"), rule.wrap_up_s),
        announce_every_s=reader.seconds(parts.get("announce_every_s"), rule.announce_every_s),
        talk_s=reader.seconds(parts.get("talk_s"), rule.talk_s),
    )
