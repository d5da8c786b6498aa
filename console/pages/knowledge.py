"""The policy snippets: a list to search and filter, each with its versions; what is said at both ends of a call."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from console import auth
from console.context import ConsoleContext, context_of
from console.rendering import render
from hotline.errors import NotFoundError
from tickets import knowledge_repository as stored
from tickets.knowledge import KnowledgeIndex, Suggestion
from tickets.knowledge_models import KnowledgeSnippet

router = APIRouter()
STATES = {"": "全部", "valid": "有效", "expiring": "即将失效", "ended": "已失效"}
FOUND = 30


@router.get("/knowledge")
def list_knowledge(
    request: Request,
    principal: auth.Reader,
    q: Annotated[str, Query(max_length=100)] = "",
    category: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:
    """All current snippets, or those that fit a text, the best first."""
    context = context_of(request)
    today = _today(context)
    with context.database.reading() as session:
        rows = stored.current_snippets(session)
    soon = context.settings.tickets.knowledge_remind_days
    groups = sorted({row.category.partition("/")[0] for row in rows if row.category})
    shown = [row for row in rows if not category or row.category.partition("/")[0] == category]
    shown = [row for row in shown if not state or _state(row, today, soon) in _STATES_SHOWN.get(state, set())]
    text = q.strip()
    if text:
        shown = _fitting(shown, text, today)
    values = {
        "rows": [_shown(row, today, soon) for row in shown],
        "total": len(rows),
        "q": text,
        "category": category,
        "categories": groups,
        "state": state,
        "states": STATES,
        "scripts": []
        if text or category or state
        else [each.filled({"site": context.settings.site_name}) for each in request.app.state.scripts.values()],
    }
    return render(request, "knowledge.html", values)


@router.get("/knowledge/{code}")
def show_snippet(request: Request, principal: auth.Reader, code: str) -> HTMLResponse:
    """A snippet, its owner and basis, and its former versions."""
    context = context_of(request)
    with context.database.reading() as session:
        versions = stored.versions_of(session, code[:64])
    if not versions:
        raise NotFoundError("没有这条知识", hint="请从知识库打开")
    soon = context.settings.tickets.knowledge_remind_days
    values = {"row": _shown(versions[0], _today(context), soon), "versions": versions}
    return render(request, "snippet.html", values)


def suggestions(session: Session, request: Request, text: str, category: str) -> list[Suggestion]:
    """What fits a ticket today. The index is kept until a snippet changes."""
    newest = stored.newest_id(session)
    known: tuple[int, KnowledgeIndex] | None = getattr(request.app.state, "knowledge", None)
    if known is None or known[0] != newest:
        index = KnowledgeIndex([stored.snippet_of(row) for row in stored.current_snippets(session)])
        known = request.app.state.knowledge = (newest, index)
    return known[1].suggest(text, day=_today(context_of(request)), category=category)


def _fitting(rows: list[KnowledgeSnippet], text: str, today: date) -> list[KnowledgeSnippet]:
    """Those that hold the text, then those that fit it."""
    holding = [row for row in rows if text in row.title or text in row.body or text in row.tags or text == row.code]
    index = KnowledgeIndex([stored.snippet_of(row) for row in rows])
    by_code = {row.code: row for row in rows}
    fitting = [by_code[each.snippet.code] for each in index.suggest(text, day=today, most=FOUND)]
    return list(dict.fromkeys([*holding, *fitting]))


_STATES_SHOWN = {"valid": {"valid", "expiring"}, "expiring": {"expiring"}, "ended": {"ended"}}


def _state(row: KnowledgeSnippet, today: date, soon: int) -> str:
    snippet = stored.snippet_of(row)
    if not snippet.valid_on(today):
        return "ended" if row.valid_to is not None and row.valid_to < today else "future"
    return "expiring" if row.valid_to is not None and (row.valid_to - today).days <= soon else "valid"


def _shown(row: KnowledgeSnippet, today: date, soon: int) -> dict[str, Any]:
    state = _state(row, today, soon)
    tones = {"valid": ("有效", "done"), "expiring": ("即将失效", "attention"), "ended": ("已失效", "danger")}
    label, tone = tones.get(state, ("未生效", ""))
    return {"snippet": row, "state": state, "label": label, "tone": tone}


def _today(context: ConsoleContext) -> date:
    return context.clock.now().astimezone(context.settings.zone).date()
