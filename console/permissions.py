"""Who may do what: one table. A role that is not listed may do nothing."""

from enum import StrEnum


class Role(StrEnum):
    """What `users.role` holds."""

    ADMIN = "admin"
    REVIEWER = "reviewer"
    VIEWER = "viewer"


class Permission(StrEnum):
    """One right."""

    READ = "read"  # tickets, transcripts and live captions, personal numbers masked
    HEAR = "hear"  # play a recording; logged
    EDIT = "edit"  # correct and confirm transcripts; each version says who made it
    UNMASK = "unmask"  # see personal numbers of one ticket for a while, with a reason; logged
    DOWNLOAD = "download"  # take a recording away; logged
    HOLD = "hold"  # keep a call from deletion, and end that; logged
    AUDIT = "audit"  # read the audit log


PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.REVIEWER: frozenset({Permission.READ, Permission.HEAR, Permission.EDIT, Permission.UNMASK}),
    Role.ADMIN: frozenset(Permission),
}


def allowed(role: str, permission: Permission) -> bool:
    """Whether `role` has the right."""
    return permission in PERMISSIONS.get(role, frozenset())
