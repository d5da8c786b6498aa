import pytest

from console.permissions import PERMISSIONS, Permission, allowed
from tickets.roles import Role

TABLE = {
    "viewer": {"read", "content", "live"},
    "operator": {"read", "content", "live", "hear", "unmask"},
    "reviewer": {"read", "content", "live", "hear", "edit", "unmask", "figures"},
    "dispatcher": {"read", "content", "live", "hear", "unmask", "catalogue", "figures"},
    "unit_handler": {"read", "content", "hear", "unmask", "figures"},
    "unit_head": {"read", "content", "hear", "unmask", "figures"},
    "leader": {"read", "content", "live", "hear", "unmask", "figures"},
    "supervisor": {"read", "content", "live", "hear", "unmask", "hold", "notices", "figures"},
    "auditor": {"read", "audit", "figures"},
    "admin": {
        "read",
        "content",
        "live",
        "hear",
        "edit",
        "unmask",
        "download",
        "hold",
        "audit",
        "notices",
        "catalogue",
        "figures",
    },
}


def test_each_role_has_exactly_its_rights() -> None:
    granted = {role.value: {p.value for p in Permission if allowed(role, p)} for role in Role}
    assert granted == TABLE
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize("role", ["", "root", "Admin", "admin "])
def test_an_unknown_role_may_do_nothing(role: str) -> None:
    assert not any(allowed(role, permission) for permission in Permission)
