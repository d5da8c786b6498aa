"""Requests that are done once: an Idempotency-Key, the request and its answer in the transaction of its effect.

Two requests with one key at the same time: the second waits at the key's row and gives the first one's answer. A
request that failed left nothing, so it may be sent again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from console.api import key_repository
from console.api.auth import ApiClient
from console.api.problems import KeyReusedError
from console.context import ConsoleContext

REPLAYED = "Idempotency-Replayed"


@dataclass(frozen=True)
class Answer:
    """What a change is answered with."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, **headers: str) -> Response:
        """As HTTP."""
        return Response(
            self.body, status_code=self.status, headers={**self.headers, **headers}, media_type="application/json"
        )


def digest(*parts: str) -> str:
    """One text for a request, 64 characters."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def answer_once(
    context: ConsoleContext, client: ApiClient, *, key: str | None, request: str, act: Callable[[Session], Answer]
) -> Response:
    """Does `act` in a transaction, once for each `key` of the client; raises `KeyReusedError` where the key came with
    another request (`digest`) before. Without a key it is done each time."""
    if key is None:
        with context.database.transaction() as session:
            return act(session).response()
    now = context.clock.now()
    with context.database.transaction() as session:
        key_repository.forget_requests(session, now - timedelta(hours=context.settings.api.idempotency_hours))
        row = key_repository.claim_request(session, client.key_id, key, digest=request, now=now)
        if row.digest != request:
            raise KeyReusedError("此 Idempotency-Key 已用于另一个请求", hint="每个请求用一个新的 Idempotency-Key")
        if row.status:
            return Answer(row.status, row.body, dict(row.headers)).response(**{REPLAYED: "true"})
        answer = act(session)
        row.status, row.body, row.headers = answer.status, answer.body, answer.headers
        return answer.response()


def answer(status: int, body: BaseModel, **headers: Any) -> Answer:
    """A model as an answer."""
    return Answer(status, body.model_dump_json(), headers)
