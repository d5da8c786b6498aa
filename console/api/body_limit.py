"""A bound of what a request may bring, refused in the interface's own form."""

import sys
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FRAMEWORKS_LIMIT = sys.maxsize
"""For `FastAPI(max_body_size=)`: its own refusal is plain text, and a mounted application's overrides its parent's."""


class BodyLimit:
    """ASGI middleware: more than `max_bytes` is answered by `refuse` with 413, whether it was announced or not."""

    def __init__(self, app: ASGIApp, max_bytes: int, refuse: Callable[[Request, Exception], Response]) -> None:
        self._app, self._max_bytes, self._refuse = app, max_bytes, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > self._max_bytes:
            response = self._refuse(Request(scope), HTTPException(413))
            await response(scope, receive, send)
            return
        came = 0

        async def receive_bounded() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_bounded, send)
