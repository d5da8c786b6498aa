"""Accounts through the functions that the command line uses, on both databases."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from console.models import LoginSession
from console.passwords import verify_password
from console.service import create_user, existing_user, list_users, set_disabled, set_password, set_role, sign_in
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, NotFoundError
from hotline.settings_sections import ConsoleSettings
from tickets.models import Unit

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
LIMITS = ConsoleSettings()


def add(database: Database, username: str = "zhang", **values: str) -> None:
    wanted = {"display_name": "张伟", "role": "viewer", "password": "correct horse"} | values
    with database.transaction() as session:
        create_user(session, username=username, now=NOW, **wanted)


def test_an_account_is_stored_with_a_hash(database: Database) -> None:
    add(database, " zhang ")
    with database.reading() as session:
        user = existing_user(session, "zhang")
        assert (user.display_name, user.role, user.created_at) == ("张伟", "viewer", NOW)
        assert verify_password(user.password_hash, "correct horse")
        assert [item.username for item in list_users(session)] == ["zhang"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"username": "a b"}, "用户名"),
        ({"role": "root"}, "没有名为 root 的角色"),
        ({"password": "short"}, "至少需要"),
        ({"username": "zhangsan-2026", "password": "ZhangSan-2026"}, "不能与用户名相同"),
        ({"display_name": "名" * 65}, "姓名最多"),
        ({"role": "unit_head"}, "单位负责人必须属于一个承办单位"),
    ],
)
def test_bad_accounts_are_refused_with_the_reason(database: Database, values: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        add(database, **values)
    with database.reading() as session:
        assert list_users(session) == []


def test_people_of_a_unit_belong_to_one_that_exists(database: Database) -> None:
    with pytest.raises(NotFoundError, match="没有代码为 zsy"):
        add(database, role="unit_handler", unit="zsy")
    with database.transaction() as session:
        session.add(Unit(code="zsy", name="张山营镇", kind="town"))
    add(database, role="unit_handler", unit="zsy")
    with database.reading() as session:
        assert existing_user(session, "zhang").unit == "zsy"


def test_another_role_ends_the_sign_ins(database: Database) -> None:
    add(database)
    with database.transaction() as session:
        sign_in(session, username="zhang", verified=True, address="", limits=LIMITS, now=NOW)
    with database.transaction() as session:
        set_role(session, username="zhang", role="reviewer")
    with database.reading() as session:
        assert existing_user(session, "zhang").role == "reviewer"
        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0


def test_a_name_is_given_once(database: Database) -> None:
    add(database)
    with pytest.raises(ConflictError, match="zhang 已存在"):
        add(database)


def test_a_name_in_other_letters_is_the_same_name(database: Database) -> None:
    add(database, "wang")
    with pytest.raises(ConflictError, match="WANG 已存在"):
        add(database, "WANG")
    with database.reading() as session:
        assert existing_user(session, "Wang").username == "wang"


def test_a_name_in_other_letters_signs_in_and_is_locked_alike(database: Database) -> None:
    add(database, "Wang")
    with database.transaction() as session:
        assert sign_in(session, username="wANG", verified=True, address="", limits=LIMITS, now=NOW)
    for username in ("wang", "WANG", "Wang", "wAng", "waNg")[: LIMITS.max_failed_logins]:
        with database.transaction() as session:
            sign_in(session, username=username, verified=False, address="", limits=LIMITS, now=NOW)
    with database.transaction() as session:
        assert sign_in(session, username="Wang", verified=True, address="", limits=LIMITS, now=NOW) is None


def test_an_account_without_a_display_name_is_called_by_its_username(database: Database) -> None:
    add(database, display_name=" ")
    with database.reading() as session:
        assert existing_user(session, "zhang").display_name == "zhang"


@pytest.mark.parametrize("end", ["password", "disable"])
def test_a_new_password_or_disabling_ends_every_sign_in(database: Database, end: str) -> None:
    add(database)
    with database.transaction() as session:
        for _ in range(2):
            assert sign_in(session, username="zhang", verified=True, address="", limits=LIMITS, now=NOW)
    with database.transaction() as session:
        if end == "password":
            set_password(session, username="zhang", password="another horse")
        else:
            set_disabled(session, username="zhang", disabled=True)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0


def test_a_new_password_lifts_a_lock(database: Database) -> None:
    add(database)
    for _ in range(LIMITS.max_failed_logins):
        with database.transaction() as session:
            sign_in(session, username="zhang", verified=False, address="", limits=LIMITS, now=NOW)
    with database.transaction() as session:
        assert sign_in(session, username="zhang", verified=True, address="", limits=LIMITS, now=NOW) is None
        set_password(session, username="zhang", password="another horse")
        assert sign_in(session, username="zhang", verified=True, address="", limits=LIMITS, now=NOW)


def test_unknown_accounts_are_named(database: Database) -> None:
    with database.transaction() as session, pytest.raises(NotFoundError, match="没有名为 li 的用户"):
        set_password(session, username="li", password="another horse")
