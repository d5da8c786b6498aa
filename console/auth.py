"""Who asks: cookies, sign-in and sign-out at the edge, CSRF tokens, and the dependencies that guard endpoints."""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Form, Request, Response
from sqlalchemy.orm import Session

from console import repository, service
from console.context import ConsoleContext, client_address, context_of
from console.passwords import verify_password
from console.permissions import Permission, allowed
from hotline.errors import ForbiddenError, UnavailableError
from tickets.access import Viewer
from tickets.roles import Actor

# __Host-: the browser itself insists on Secure, Path=/ and no Domain (RFC 6265bis section 4.1.3.2)
SESSION_COOKIE = "__Host-hotline"
VISITOR_COOKIE = "__Host-hotline-visitor"  # carries the login form's CSRF token before there is a session
# Argon2 takes 64 MiB and tens of milliseconds a time: a flood of guesses must not take the machine.
_CHECKS = threading.BoundedSemaphore(2)
_CHECK_WAIT_S = 3.0


class SignInRequiredError(ForbiddenError):
    """Nobody is signed in."""


@dataclass(frozen=True)
class Principal:
    """The person signed in."""

    username: str
    display_name: str
    role: str
    token: str
    expires_at: datetime
    unit: str = ""

    def may(self, permission: Permission) -> bool:
        """Whether the role has the right."""
        return allowed(self.role, permission)

    @property
    def viewer(self) -> Viewer:
        """As whom this person looks at tickets."""
        return Viewer(self.username, self.role, self.unit)

    def actor(self, origin: str) -> Actor:
        """As whom this person gives a command; `origin`: the address it comes from."""
        return Actor(self.username, self.role, self.unit, origin)


def csrf_token(secret: str) -> str:
    """The token of a browser's forms, derived from a cookie that other sites cannot read."""
    return hmac.new(secret.encode(), b"csrf", "sha256").hexdigest()


def form_secret(request: Request) -> str:
    """The cookie value that this browser's forms are bound to, empty without one."""
    return request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISITOR_COOKIE) or ""


def check_csrf(request: Request, csrf: Annotated[str, Form()] = "") -> None:
    """Guards every POST; raises `ForbiddenError`."""
    secret = form_secret(request)
    if not secret or not hmac.compare_digest(csrf.encode(), csrf_token(secret).encode()):
        raise ForbiddenError("表单已失效", hint="请返回上一页，刷新后重试")


def current_principal(request: Request) -> Principal:
    """The person signed in; raises `SignInRequiredError`. The database session is closed again on return."""
    context, token = context_of(request), request.cookies.get(SESSION_COOKIE)
    if token:
        with context.database.reading() as session:
            found = repository.login_session(session, service.token_digest(token), now=context.clock.now())
            if found is not None:
                user = found.user
                principal = Principal(user.username, user.display_name, user.role, token, found.expires_at, user.unit)
                request.state.principal = principal  # error pages keep the person's navigation
                return principal
    raise SignInRequiredError("请先登录")


def require(permission: Permission) -> Callable[..., Principal]:
    """A dependency: the person signed in, who must have `permission`."""

    def guard(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
        if not principal.may(permission):
            raise ForbiddenError("您没有执行此操作的权限", hint="如有需要，请联系管理员")
        return principal

    return guard


def sees_numbers(session: Session, context: ConsoleContext, principal: Principal, number: str) -> bool:
    """Whether this person has unmasked the ticket of that number and may still see, and hear, it so."""
    return principal.may(Permission.UNMASK) and service.unmasked(
        session,
        username=principal.username,
        number=number,
        now=context.clock.now(),
        minutes=context.settings.console.unmask_minutes,
    )


Reader = Annotated[Principal, Depends(require(Permission.READ))]
ContentReader = Annotated[Principal, Depends(require(Permission.CONTENT))]
Listener = Annotated[Principal, Depends(require(Permission.HEAR))]


def sign_in(context: ConsoleContext, *, username: str, password: str, address: str) -> str | None:
    """Checks a password and gives a session token, or None; every attempt is counted and logged."""
    with context.database.reading() as session:
        user = repository.user_named(session, username)
        password_hash = user.password_hash if user else None
    if not _CHECKS.acquire(timeout=_CHECK_WAIT_S):
        raise UnavailableError("登录请求过多，请稍后再试")
    try:  # between two transactions: nothing is locked while the hash is computed
        verified = verify_password(password_hash, password)
    finally:
        _CHECKS.release()
    with context.database.transaction() as session:
        return service.sign_in(
            session,
            username=username,
            verified=verified,
            address=address,
            limits=context.settings.console,
            now=context.clock.now(),
        )


def sign_out(request: Request, principal: Principal) -> None:
    """Forgets the sign-in and logs it."""
    context = context_of(request)
    with context.database.transaction() as session:
        repository.end_login_session(session, service.token_digest(principal.token))
        service.audit(
            session,
            at=context.clock.now(),
            username=principal.username,
            action="sign_out",
            address=client_address(request),
        )


def set_cookie(response: Response, name: str, value: str, *, max_age_s: int | None = None) -> None:
    """A cookie that no script reads and no other site sends."""
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="strict")


def forget_cookie(response: Response, name: str) -> None:
    """Removes a cookie of `set_cookie`."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def safe_path(target: str) -> str:
    """Where to go after signing in: a path of this site, else the tickets (no open redirect)."""
    inside = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if inside and "\\" not in target else "/tickets"
