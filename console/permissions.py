"""Who may do what: one table. A role that is not listed may do nothing."""

from enum import StrEnum

from tickets.roles import Role


class Permission(StrEnum):
    """One right."""

    READ = "read"  # tickets, transcripts and live captions, personal numbers masked
    HEAR = "hear"  # play a recording; logged
    EDIT = "edit"  # correct and confirm transcripts; each version says who made it
    UNMASK = "unmask"  # see personal numbers of one ticket for a while, with a reason; logged
    DOWNLOAD = "download"  # take a recording away; logged
    HOLD = "hold"  # keep a call from deletion, and end that; logged
    AUDIT = "audit"  # read the audit log
    FIGURES = "figures"  # see figures and rates, people of a unit those of the unit; taking them along is logged
    NOTICES = "notices"  # see how notices and webhooks stand, recipients masked, and have them sent again; logged
    CATALOGUE = "catalogue"  # see who handles what, and put a new catalogue in force; logged


PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset({Permission.READ, Permission.HEAR, Permission.UNMASK}),
    Role.REVIEWER: frozenset(
        {Permission.READ, Permission.HEAR, Permission.EDIT, Permission.UNMASK, Permission.FIGURES}
    ),
    Role.DISPATCHER: frozenset(
        {Permission.READ, Permission.HEAR, Permission.UNMASK, Permission.CATALOGUE, Permission.FIGURES}
    ),
    Role.UNIT_HANDLER: frozenset({Permission.READ, Permission.HEAR, Permission.UNMASK, Permission.FIGURES}),
    Role.UNIT_HEAD: frozenset({Permission.READ, Permission.HEAR, Permission.UNMASK, Permission.FIGURES}),
    Role.LEADER: frozenset({Permission.READ, Permission.HEAR, Permission.UNMASK, Permission.FIGURES}),
    Role.SUPERVISOR: frozenset(
        {Permission.READ, Permission.HEAR, Permission.UNMASK, Permission.HOLD, Permission.NOTICES, Permission.FIGURES}
    ),
    Role.AUDITOR: frozenset({Permission.READ, Permission.AUDIT, Permission.FIGURES}),
    Role.ADMIN: frozenset(Permission),
}


def allowed(role: str, permission: Permission) -> bool:
    """Whether `role` has the right."""
    return permission in PERMISSIONS.get(role, frozenset())
