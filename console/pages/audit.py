"""The audit log, for auditors and administrators; numbers that somebody wrote into a reason are hidden."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from asr.masking import mask_numbers
from console import auth, repository
from console.context import context_of
from console.permissions import Permission
from console.rendering import render

router = APIRouter()
PAGE_SIZE = 100


@router.get("/audit")
def show_audit(
    request: Request,
    _principal: Annotated[auth.Principal, Depends(auth.require(Permission.AUDIT))],
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> HTMLResponse:
    """Newest first, a page at a time."""
    with context_of(request).database.reading() as session:
        entries = repository.audit_page(session, before=before, limit=PAGE_SIZE + 1)
        values = {
            "masked": mask_numbers,
            "entries": entries[:PAGE_SIZE],
            "next_before": entries[PAGE_SIZE - 1].id if len(entries) > PAGE_SIZE else None,
        }
    return render(request, "audit.html", values)
