"""The only place where errors become HTTP: a page in Chinese for people, JSON for scripts."""

import logging
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from console.auth import SignInRequiredError
from console.headers import SECURITY_HEADERS
from console.rendering import render
from hotline.errors import (
    ConfigurationError,
    ConflictError,
    DamagedError,
    ForbiddenError,
    HotlineError,
    InvalidInputError,
    NotFoundError,
    ProtocolError,
    TooManyRequestsError,
    UnavailableError,
)

log = logging.getLogger(__name__)

STATUS: dict[type[HotlineError], int] = {
    InvalidInputError: 400,
    SignInRequiredError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    TooManyRequestsError: 429,
    ConfigurationError: 500,
    DamagedError: 500,
    ProtocolError: 502,
    UnavailableError: 503,
}
TITLES = {
    400: "请求有误",
    401: "请先登录",
    403: "无权访问",
    404: "没有找到",
    405: "不支持的操作",
    409: "内容已变化",
    413: "内容过大",
    429: "操作太频繁",
    500: "系统出错",
    502: "上游出错",
    503: "暂时不可用",
}
OUR_FAULT = "系统出现意外错误，已记录，请稍后再试或联系管理员"

NO_ANSWER = "系统暂时没有响应，请稍后再试"


def status_of(error: HotlineError) -> int:
    """The HTTP status of an expected error: that of its nearest listed class."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def install(app: FastAPI) -> None:
    """Registers the handlers."""
    app.add_exception_handler(HotlineError, _expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(Exception, _unexpected)


def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, HotlineError)
    status = status_of(error)
    if status == 401 and _wants_page(request):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = f"?next={quote(target)}" if request.method == "GET" and target != "/" else ""
        return RedirectResponse(f"/login{back}", status_code=303)
    if status >= 500:  # the text is for operators and may name hosts and statements
        log.error("%s %s: %s", request.method, request.url.path, error)
        return _answer(request, status, OUR_FAULT if status == 500 else NO_ANSWER)
    return _answer(request, status, error.message, error.hint, version=getattr(error, "version", None))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {404: "没有这个页面", 405: "这个地址不支持此操作", 413: "提交的内容过大"}
    return _answer(request, error.status_code, messages.get(error.status_code, "请求无法处理"), headers=error.headers)


def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    names = "、".join(dict.fromkeys(str(item["loc"][-1]) for item in error.errors()))
    return _answer(request, 400, f"参数无效：{names}")


def _unstorable(request: Request, _error: Exception) -> Response:
    """Text that the database refuses, such as a NUL character on PostgreSQL."""
    return _answer(request, 400, "内容含有无法处理的字符")


def _unexpected(request: Request, _error: Exception) -> Response:
    """The server logs the traceback; this answer is made outside the middleware, so it brings its own headers."""
    return _answer(request, 500, OUR_FAULT, headers=SECURITY_HEADERS)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _answer(
    request: Request, status: int, message: str, hint: str = "", *, headers: Any = None, version: int | None = None
) -> Response:
    """`version`: what a thing that was changed by somebody else is now."""
    if not _wants_page(request):
        body = {"error": message, "hint": hint, "version": version}
        body = {key: value for key, value in body.items() if value}
        return JSONResponse(body, status_code=status, headers=headers)
    title = TITLES.get(status, "出错了")
    values = {"title": title, "status": status, "message": message, "hint": hint}
    return render(request, "error.html", values, status=status, headers=headers)
