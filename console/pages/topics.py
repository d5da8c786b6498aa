"""What many people call about: the newest day's topics, and one topic day by day."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from asr.masking import mask_numbers
from console import auth
from console.charts import spark_line
from console.context import context_of
from console.rendering import render
from hotline.errors import NotFoundError
from tickets import topic_repository as stored
from tickets.topic_models import TopicDay

router = APIRouter()
KINDS = {"": "全部", "rising": "增长", "monthly": "每月一题候选", "early": "未诉先办候选"}
HISTORY_DAYS = 180


@router.get("/topics")
def list_topics(
    request: Request, principal: auth.ContentReader, kind: Annotated[str, Query(max_length=16)] = ""
) -> HTMLResponse:
    """The topics that grow, then the largest."""
    with context_of(request).database.reading() as session:
        run = stored.last_run(session)
        rows = stored.topics_on(session, run.day) if run else []
        chosen = [row for row in rows if not kind or (row.rising if kind == "rising" else kind in row.reasons)]
        values = {
            "run": run,
            "seasonal": run.seasonal if run else [],
            "kind": kind,
            "kinds": KINDS,
            "total": len(rows),
            "topics": [_topic(session, row, principal, examples=2) for row in chosen],
        }
    return render(request, "topics.html", values)


@router.get("/topics/{topic_id}")
def show_topic(request: Request, principal: auth.ContentReader, topic_id: int) -> HTMLResponse:
    """One topic: examples, places, units, and its size day by day."""
    with context_of(request).database.reading() as session:
        row = stored.find_topic(session, topic_id) if topic_id < 2**31 else None
        days = stored.history_of(session, topic_id, row.last_day - timedelta(days=HISTORY_DAYS)) if row else []
        if row is None or not days:
            raise NotFoundError("没有这个热点", hint="请从热点列表打开")
        values = {
            "row": row,
            "topic": _topic(session, days[-1], principal, examples=5),
            "history": list(reversed(days))[:60],
            "kinds": KINDS,
        }
    return render(request, "topic.html", values)


def _topic(session: Session, row: TopicDay, principal: auth.Principal, *, examples: int) -> dict[str, Any]:
    wanted = row.details["examples"][:examples]
    tickets = stored.visible_tickets(session, wanted, principal.viewer)
    answers = row.details["solved"] + row.details["unsolved"]
    return {
        **row.details,
        "id": row.topic_id,
        "name": row.name,
        "day": row.day,
        "first_day": row.topic.first_day,
        "tickets": row.tickets,
        "week": row.week,
        "usual": row.before / 4,
        "rising": row.rising,
        "chance": row.chance,
        "reasons": row.reasons,
        "answers": answers,
        "unsolved_share": row.details["unsolved"] / answers if answers else None,
        "spark": spark_line(row.details["daily"]),
        "examples": [
            {"number": tickets[each].number, "title": mask_numbers(tickets[each].title)}
            for each in wanted
            if each in tickets
        ],
    }
