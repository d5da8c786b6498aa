import pytest
from argon2 import extract_parameters

from console import passwords
from console.passwords import check_password, check_username, hash_password, verify_password
from hotline.errors import InvalidInputError


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "至少需要 10 个字符"),
        ("九个汉字不够十个啊", "至少需要 10 个字符"),
        ("ZhangSan.2026", "不能与用户名相同"),
        ("aaaaaaaaaaaa", "同一个字符"),
        ("abcdefghijkl", "顺序相连"),
        ("lkjihgfedcba", "顺序相连"),
        ("8202604190731", "只由数字"),
        ("１２３４５６７８９０", "只由数字"),
        ("x" * 200 + "y" * 57, "最多 256 个字符"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(password: str, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        check_password(password, username="zhangsan.2026")


def test_a_passphrase_is_fine() -> None:
    check_password("correct horse battery staple", username="zhangsan")
    check_password("每天九点半接听群众来电", username="zhangsan")


@pytest.mark.parametrize("username", ["", "  ", "a b", "a/b", "x" * 65, "名\n字", "<b>"])
def test_odd_usernames_are_refused(username: str) -> None:
    with pytest.raises(InvalidInputError, match="用户名"):
        check_username(username)


def test_usernames_lose_their_outer_blanks() -> None:
    assert check_username(" zhang.san ") == "zhang.san"
    assert check_username("张三") == "张三"


def test_only_the_right_password_verifies() -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct horse" not in stored
    assert verify_password(stored, "correct horse")
    assert not verify_password(stored, "correct horsf")
    assert not verify_password("not a hash", "correct horse")


def test_an_unknown_user_costs_a_whole_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            checked.append(stored)
            return True

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    assert verify_password(None, "anything") is False
    assert checked[0].startswith("$argon2id$")


def test_the_hash_of_nobody_costs_what_a_hash_of_ours_costs() -> None:
    ours, nobody = (extract_parameters(stored) for stored in (hash_password("correct horse"), passwords._NOBODY))
    assert nobody == ours
