"""Who may do what: one table. A role that is not listed may do nothing."""

from enum import StrEnum

from tickets.roles import Role


class Permission(StrEnum):
    """One right."""

    READ = "read"  # tickets: how each stands and what was done; which ones, `tickets.access` says
    CONTENT = "content"  # what people told, in tickets, transcripts and searches; personal numbers masked
    LIVE = "live"  # calls in progress and their captions: nobody knows yet whose they are
    HEAR = "hear"  # play a recording; logged
    EDIT = "edit"  # correct and confirm transcripts; each version says who made it
    UNMASK = "unmask"  # see personal numbers of one ticket for a while, with a reason; logged
    DOWNLOAD = "download"  # take a recording away; logged
    HOLD = "hold"  # keep a call from deletion, and end that; logged
    AUDIT = "audit"  # read the audit log
    FIGURES = "figures"  # see figures and rates, people of a unit those of the unit; taking them along is logged
    NOTICES = "notices"  # see how notices and webhooks stand, recipients masked, and have them sent again; logged
    CATALOGUE = "catalogue"  # see who handles what, and put a new catalogue in force; logged


_INSIDE = frozenset({Permission.READ, Permission.CONTENT, Permission.LIVE})
_UNIT = frozenset({Permission.READ, Permission.CONTENT, Permission.HEAR, Permission.UNMASK, Permission.FIGURES})

PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: _INSIDE,
    Role.OPERATOR: _INSIDE | {Permission.HEAR, Permission.UNMASK},
    Role.REVIEWER: _INSIDE | {Permission.HEAR, Permission.EDIT, Permission.UNMASK, Permission.FIGURES},
    Role.DISPATCHER: _INSIDE | {Permission.HEAR, Permission.UNMASK, Permission.CATALOGUE, Permission.FIGURES},
    Role.UNIT_HANDLER: _UNIT,
    Role.UNIT_HEAD: _UNIT,
    Role.LEADER: _INSIDE | {Permission.HEAR, Permission.UNMASK, Permission.FIGURES},
    Role.SUPERVISOR: _INSIDE
    | {Permission.HEAR, Permission.UNMASK, Permission.HOLD, Permission.NOTICES, Permission.FIGURES},
    Role.AUDITOR: frozenset({Permission.READ, Permission.AUDIT, Permission.FIGURES}),
    Role.ADMIN: frozenset(Permission),
}


def allowed(role: str, permission: Permission) -> bool:
    """Whether `role` has the right."""
    return permission in PERMISSIONS.get(role, frozenset())
