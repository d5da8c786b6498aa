"""The people around a ticket, and who somebody is when a command is given."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account is for. The value is what the database holds."""

    VIEWER = "viewer"  # looks at what is not confidential
    OPERATOR = "operator"  # takes calls, notes the matter, answers directly
    REVIEWER = "reviewer"  # reads transcripts, accepts and corrects tickets, examines what units hand in
    DISPATCHER = "dispatcher"  # sends tickets to units
    UNIT_HANDLER = "unit_handler"  # works on the tickets of one unit
    UNIT_HEAD = "unit_head"  # the same, and answers for the unit
    LEADER = "leader"  # sits at a live session, instructs
    SUPERVISOR = "supervisor"  # watches over deadlines, decides returns, extensions and exclusions
    AUDITOR = "auditor"  # reads everything that is written down about who did what
    ADMIN = "admin"

    @property
    def label(self) -> str:
        """What people see."""
        return ROLE_LABELS[self]


ROLE_LABELS = {
    Role.VIEWER: "查看员",
    Role.OPERATOR: "话务员",
    Role.REVIEWER: "审核员",
    Role.DISPATCHER: "派单员",
    Role.UNIT_HANDLER: "承办人",
    Role.UNIT_HEAD: "单位负责人",
    Role.LEADER: "领导",
    Role.SUPERVISOR: "督办员",
    Role.AUDITOR: "审计员",
    Role.ADMIN: "管理员",
}
UNIT_ROLES = frozenset({Role.UNIT_HANDLER, Role.UNIT_HEAD})
"""Who sees and works on the tickets of one unit alone."""


@dataclass(frozen=True)
class Actor:
    """Who gives a command. `role`: a `Role`, or "system" for a rule or job; `unit`: a unit's code; `origin`: the
    address or the part of the product that it came from."""

    username: str
    role: str
    unit: str = ""
    origin: str = ""

    @property
    def is_system(self) -> bool:
        """Whether a rule acts, not a person."""
        return self.role == "system"


SYSTEM_ACTOR = Actor("system", "system")
