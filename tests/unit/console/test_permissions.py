import pytest

from console.permissions import PERMISSIONS, Permission, allowed
from tickets.roles import Role

TABLE = {
    "viewer": {"read"},
    "operator": {"read", "hear", "unmask"},
    "reviewer": {"read", "hear", "edit", "unmask", "figures"},
    "dispatcher": {"read", "hear", "unmask", "catalogue", "figures"},
    "unit_handler": {"read", "hear", "unmask", "figures"},
    "unit_head": {"read", "hear", "unmask", "figures"},
    "leader": {"read", "hear", "unmask", "figures"},
    "supervisor": {"read", "hear", "unmask", "hold", "notices", "figures"},
    "auditor": {"read", "audit", "figures"},
    "admin": {"read", "hear", "edit", "unmask", "download", "hold", "audit", "notices", "catalogue", "figures"},
}


def test_each_role_has_exactly_its_rights() -> None:
    granted = {role.value: {p.value for p in Permission if allowed(role, p)} for role in Role}
    assert granted == TABLE
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize("role", ["", "root", "Admin", "admin "])
def test_an_unknown_role_may_do_nothing(role: str) -> None:
    assert not any(allowed(role, permission) for permission in Permission)
