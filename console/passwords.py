"""Passwords: rules, argon2id hashes (RFC 9106), and a check that takes as long for an unknown user."""

import re
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hotline.errors import InvalidInputError

MIN_LENGTH = 10
MAX_LENGTH = 256
_USERNAME = re.compile(r"[\w.-]{1,64}")
_HASHER = PasswordHasher()
_NOBODY = (  # nobody has this password: a thrown away random one, as `_HASHER` stores it
    "$argon2id$v=19$m=65536,t=3,p=4$0TDlXJBXwTvwNQgxqVkKpg$9tvvJZRE0KvWgfqyms8jb2doOHEKyFrES5OGHAHWnoo"
)


def check_username(username: str) -> str:
    """The name without blanks around it; raises `InvalidInputError`."""
    name = username.strip()
    if not _USERNAME.fullmatch(name):
        raise InvalidInputError("用户名须为 1 至 64 个字母、数字、汉字、点、下划线或连字符")
    return name


def check_password(password: str, *, username: str) -> None:
    """Raises `InvalidInputError` where the rules refuse `password`."""
    if len(password) < MIN_LENGTH:
        raise InvalidInputError(f"密码至少需要 {MIN_LENGTH} 个字符")
    if len(password) > MAX_LENGTH:
        raise InvalidInputError(f"密码最多 {MAX_LENGTH} 个字符")
    if password.casefold() == username.casefold():
        raise InvalidInputError("密码不能与用户名相同")
    if password.isdecimal():
        raise InvalidInputError("密码不能只由数字组成")
    if len({ord(right) - ord(left) for left, right in pairwise(password)}) == 1:
        raise InvalidInputError("密码不能由同一个字符或顺序相连的字符组成")


def hash_password(password: str) -> str:
    """The argon2id hash in PHC format."""
    return _HASHER.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether `password` is the one behind `password_hash`; None (no such user) costs the same time and is False."""
    try:
        _HASHER.verify(password_hash or _NOBODY, password[:MAX_LENGTH])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None
