"""For supervisors and load balancers: alive, and able to serve. No sign-in, nothing to learn."""

import logging
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from console.context import context_of
from hotline.errors import UnavailableError

log = logging.getLogger(__name__)
router = APIRouter()


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(request: Request) -> JSONResponse:
    """Database and broker answer: 200, else 503 naming which does not."""
    context = context_of(request)
    answers = {"database": _answers(context.database.ping), "broker": _answers(context.bus.ping)}
    good = all(answers.values())
    body = {name: "ok" if answer else "unavailable" for name, answer in answers.items()}
    return JSONResponse({"status": "ok" if good else "unavailable", **body}, status_code=200 if good else 503)


def _answers(ping: Callable[[], None]) -> bool:
    try:
        ping()
    except UnavailableError as error:
        log.warning("not ready: %s", error)
        return False
    return True
