"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console import auth
from console.context import client_address, context_of
from console.rendering import render

router = APIRouter()
REFUSED = "用户名或密码不正确，或账号暂时被锁定"


@router.get("/login")
def show_login(request: Request, next: str = "") -> HTMLResponse:
    """The login form, bound to a cookie of its own."""
    return _form(request, next)


@router.post("/login", dependencies=[Depends(auth.check_csrf)])
def log_in(
    request: Request,
    username: Annotated[str, Form(max_length=256)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    next: Annotated[str, Form(max_length=2048)] = "",
) -> Response:
    """Signs in and goes on to where the person came from."""
    username = username.strip()
    token = auth.sign_in(context_of(request), username=username, password=password, address=client_address(request))
    if token is None:
        return _form(request, next, error=REFUSED, username=username, status=401)
    response = RedirectResponse(auth.safe_path(next), status_code=303)
    auth.set_cookie(response, auth.SESSION_COOKIE, token)
    auth.forget_cookie(response, auth.VISITOR_COOKIE)
    return response


@router.post("/logout", dependencies=[Depends(auth.check_csrf)])
def log_out(request: Request, principal: Annotated[auth.Principal, Depends(auth.current_principal)]) -> Response:
    """Signs out."""
    auth.sign_out(request, principal)
    response = RedirectResponse("/login", status_code=303)
    auth.forget_cookie(response, auth.SESSION_COOKIE)
    return response


def _form(request: Request, target: str, *, error: str = "", username: str = "", status: int = 200) -> HTMLResponse:
    secret = auth.form_secret(request)
    fresh = "" if secret else auth.new_secret()
    values = {"next": target, "error": error, "username": username}
    response = render(request, "login.html", values, status=status, secret=secret or fresh)
    if fresh:
        auth.set_cookie(response, auth.VISITOR_COOKIE, fresh)
    return response
