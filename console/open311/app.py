"""GeoReport v2 as an ASGI application of its own, mounted at /open311: its formats, its errors, its bounds."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from console.api.body_limit import FRAMEWORKS_LIMIT, BodyLimit
from console.api.key_service import KeyRefusedError
from console.api.problems import told, wrong_fields
from console.errors import OUR_FAULT
from console.open311 import documents, endpoints
from console.throttle import Throttle
from hotline.errors import HotlineError
from hotline.settings import Settings

log = logging.getLogger(__name__)
PATH = endpoints.PATH


def create_open311(settings: Settings) -> FastAPI:
    """The application; whoever mounts it shares its state with it."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        max_body_size=FRAMEWORKS_LIMIT,
        middleware=[Middleware(BodyLimit, max_bytes=settings.api.max_body_bytes, refuse=_refused)],
    )
    app.state.public_rates = Throttle(settings.open311.per_minute)
    app.add_exception_handler(HotlineError, _expected)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(Exception, _unexpected)
    app.include_router(endpoints.router)
    return app


def failure(request: Request, status: int, description: str, headers: Any = None) -> Response:
    """An error in the format that was asked for."""
    content = documents.errors(status, description)
    if request.url.path.endswith(".xml"):
        body = documents.as_xml("errors", content)
        return Response(body, status_code=status, headers=headers, media_type=endpoints.XML)
    return JSONResponse(content, status_code=status, headers=headers, media_type=endpoints.JSON)


def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, HotlineError)
    status, detail, _hint, headers = told(error)
    if isinstance(error, KeyRefusedError):  # the standard has no 401
        status, headers = 403, {}
    return failure(request, status, detail, headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {404: "没有这个地址", 405: "这个地址不支持此操作", 413: "提交的内容过大"}
    return failure(request, error.status_code, details.get(error.status_code, "请求无法处理"), error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = wrong_fields(error)
    if any(item.location == "path" for item in wrong):
        return failure(request, 404, "没有这个地址")
    return failure(request, 400, "；".join(f"{item.field}：{item.detail}" for item in wrong))


def _unstorable(request: Request, _error: Exception) -> Response:
    return failure(request, 400, "内容含有无法处理的字符")


def _unexpected(request: Request, _error: Exception) -> Response:
    return failure(request, 500, OUR_FAULT)
