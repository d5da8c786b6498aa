"""Where errors of the interface become HTTP: `application/problem+json` (RFC 9457), naming each wrong field."""

import logging
import re
from functools import cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from console.api.key_service import KeyRefusedError
from console.errors import NO_ANSWER, OUR_FAULT, status_of
from hotline.errors import ConflictError, HotlineError, InvalidInputError, TooManyRequestsError

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
DOCS = "/api/v1/docs"
MAX_FIELDS = 20


class KeyReusedError(InvalidInputError):
    """An Idempotency-Key came again with another request."""


class ChangedError(ConflictError):
    """If-Match names a version that the ticket no longer has; `version` is the one it has."""

    version: int = 0


class VersionRequiredError(InvalidInputError):
    """A change came without If-Match."""


_STATUS: dict[type[HotlineError], int] = {
    KeyRefusedError: 401,
    ChangedError: 412,
    KeyReusedError: 422,
    VersionRequiredError: 428,
}
KINDS: dict[int, tuple[str, str]] = {  # status -> (the type's name, the title)
    400: ("invalid-input", "请求有误"),
    401: ("key-refused", "密钥无效"),
    403: ("forbidden", "无权访问"),
    404: ("not-found", "没有找到"),
    405: ("method-not-allowed", "不支持的操作"),
    406: ("not-acceptable", "不支持的格式"),
    409: ("conflict", "状态不允许"),
    412: ("changed", "内容已变化"),
    413: ("too-large", "内容过大"),
    415: ("unsupported-media-type", "不支持的内容类型"),
    422: ("invalid-request", "请求内容不符合要求"),
    428: ("version-required", "须给出版本"),
    429: ("too-many-requests", "操作太频繁"),
    500: ("internal", "系统出错"),
    502: ("upstream", "上游出错"),
    503: ("unavailable", "暂时不可用"),
}
_MESSAGES = {
    "missing": "必须填写",
    "extra_forbidden": "没有这一项",
    "string_too_short": "太短",
    "string_too_long": "太长",
    "string_pattern_mismatch": "格式不对",
    "too_long": "太多",
    "too_short": "太少",
    "enum": "不在可选范围内",
    "literal_error": "不在可选范围内",
    "json_invalid": "不是有效的 JSON",
    "timezone_aware": "时间须带时区",
    "int_parsing": "须为整数",
    "float_parsing": "须为数字",
    "greater_than_equal": "太小",
    "less_than_equal": "太大",
}


class WrongField(BaseModel):
    """One field that is wrong."""

    location: str = Field(description="query、path、header 或 body", examples=["query"])
    field: str = Field(examples=["limit"])
    detail: str = Field(examples=["太大"])


class Problem(BaseModel):
    """An error as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{DOCS}#not-found",
                    "title": "没有找到",
                    "status": 404,
                    "detail": "没有这个工单",
                    "hint": "请核对工单编号",
                }
            ]
        }
    )

    type: str = Field(description="问题类别的相对地址")
    title: str
    status: int
    detail: str
    hint: str | None = Field(None, description="怎样改正")
    version: int | None = Field(None, description="内容已变化时，现在的版本")
    errors: list[WrongField] | None = Field(None, description="有误的各项")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that may fail so."""
    schema = {"$ref": "#/components/schemas/Problem"}
    headers = {"Retry-After": {"description": "多少秒后可以再试", "schema": {"type": "integer"}}}
    challenge = {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}}
    extra = {429: {"headers": headers}, 503: {"headers": headers}, 401: {"headers": challenge}}
    return {
        status: {
            "description": KINDS[status][1],
            "content": {MEDIA_TYPE: {"schema": schema}},
            **extra.get(status, {}),
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Registers the handlers."""
    app.add_exception_handler(HotlineError, _expected)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(Exception, _unexpected)


def refuse_unknown(request: Request) -> None:
    """A dependency: raises `RequestValidationError` for a parameter that the operation does not have, since a misspelt
    one would do nothing and nobody would notice."""
    operation = _described(request).get(request.method.lower())
    if operation is None:
        return
    known = {item["name"] for item in operation.get("parameters", []) if item["in"] == "query"}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError([{"loc": ("query", name), "type": "extra_forbidden"} for name in unknown])


def status_of_problem(error: HotlineError) -> int:
    """The HTTP status of an expected error."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), status_of(error))


def wrong_fields(error: RequestValidationError) -> list[WrongField]:
    """The fields that are wrong; what was sent is not repeated."""
    found = []
    for item in error.errors()[:MAX_FIELDS]:
        location, *path = [str(part)[:64] for part in item["loc"]]
        message = _MESSAGES.get(item["type"], "填写有误")
        found.append(WrongField(location=location, field=".".join(path), detail=message))
    return found


def problem(
    status: int,
    detail: str,
    *,
    hint: str = "",
    version: int | None = None,
    errors: list[WrongField] | None = None,
    headers: Any = None,
) -> JSONResponse:
    """The answer."""
    name, title = KINDS.get(status, ("error", "请求无法处理"))
    body = Problem(
        type=f"{DOCS}#{name}",
        title=title,
        status=status,
        detail=detail,
        hint=hint or None,
        version=version,
        errors=errors or None,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def told(error: HotlineError) -> tuple[int, str, str, dict[str, str]]:
    """An expected error's status, text, hint and headers; what is our fault is logged and not told."""
    status = status_of_problem(error)
    if status >= 500:  # the text is for operators and may name hosts and statements
        log.error("%s", error)
        headers = {"Retry-After": "30"} if status == 503 else {}
        return status, OUR_FAULT if status == 500 else NO_ANSWER, "", headers
    if isinstance(error, TooManyRequestsError):
        return status, error.message, error.hint, {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return status, error.message, error.hint, {"WWW-Authenticate": "Bearer"} if status == 401 else {}


def _expected(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HotlineError)
    status, detail, hint, headers = told(error)
    return problem(status, detail, hint=hint, version=getattr(error, "version", None), headers=headers)


def refused(request: Request, error: Exception) -> JSONResponse:
    """What the framework or the body's bound refuses."""
    assert isinstance(error, HTTPException)
    headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
    details = {404: "没有这个地址", 405: "这个地址不支持此操作", 413: "提交的内容过大"}
    return problem(error.status_code, details.get(error.status_code, "请求无法处理"), headers=headers)


def _methods(request: Request) -> str:
    """What an address takes; the framework tells it of the first operation alone."""
    return ", ".join(sorted(method.upper() for method in _described(request))) or "GET"


def _described(request: Request) -> dict[str, Any]:
    """What the OpenAPI document says of the request's address: method -> operation; empty for one it does not have."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    return next((item for template, item in paths.items() if _pattern(template).fullmatch(path)), {})


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template))


def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = wrong_fields(error)
    names = "、".join(dict.fromkeys(item.field or item.location for item in wrong))
    return problem(422, f"参数无效：{names}", errors=wrong)


def _unstorable(_request: Request, _error: Exception) -> JSONResponse:
    """Text that the database refuses, such as a NUL character on PostgreSQL."""
    return problem(400, "内容含有无法处理的字符")


def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    """The server logs the traceback."""
    return problem(500, OUR_FAULT)
