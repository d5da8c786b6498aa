"""Reckons, publishes and replays the three rates. Never commits."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hotline.errors import ConflictError, InvalidInputError
from tickets import publication as snapshots
from tickets import rate_repository as repository
from tickets.figure_models import Publication
from tickets.formulas import Formula, RatePeriod
from tickets.rates import Case

MIN_NOTE = 2


@dataclass(frozen=True)
class Reckoned:
    """The figures of a period as they are now."""

    formula: Formula
    period: RatePeriod
    cases: tuple[Case, ...]
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Replay:
    """What a publication's inputs give now; `differences` is empty where that is what was published."""

    publication: Publication
    cases: tuple[Case, ...]
    differences: tuple[snapshots.Difference, ...]


def compute(session: Session, formula: Formula, period: RatePeriod) -> Reckoned:
    """From the rows as they are."""
    cases = tuple(repository.cases_of(session, period))
    return Reckoned(formula, period, cases, snapshots.outputs_of(cases, formula, period))


def publish(
    session: Session,
    formula: Formula,
    period: RatePeriod,
    *,
    by: str,
    now: datetime,
    note: str = "",
    corrects: int | None = None,
) -> Publication:
    """Stores the figures of a period that is over, with their inputs.

    Raises `ConflictError` where the period goes on, or has been published and `corrects` does not name the newest;
    `InvalidInputError` for a correction that does not say why.
    """
    note = note.strip()
    if now < period.end:
        raise ConflictError(f"统计周期 {period.name} 尚未结束，不能发布", hint="可用 compute 试算")
    before = repository.current_publication(session, period.name)
    if before is not None and corrects is None:
        raise ConflictError(
            f"{period.name} 已发布（编号 {before.id}）", hint=f"如需更正，请注明更正编号 {before.id} 和原因"
        )
    if corrects is not None:
        if before is None or before.id != corrects:
            newest = f"，最新的是 {before.id}" if before else ""
            raise ConflictError(f"不能更正编号 {corrects}：它不是 {period.name} 的最新发布{newest}")
        if len(note) < MIN_NOTE:
            raise InvalidInputError("更正必须说明原因（至少 2 字）")
    reckoned = compute(session, formula, period)
    text, formula_text = snapshots.inputs_text(period, reckoned.cases), formula.text()
    outputs = snapshots.outputs_text(reckoned.outputs)
    return repository.add_publication(
        session,
        Publication(
            period=period.name,
            period_begin=period.begin,
            period_end=period.end,
            formula=formula.name,
            formula_text=formula_text,
            inputs=snapshots.pack(text),
            inputs_sha256=snapshots.digest(formula_text, text),
            cases=len(reckoned.cases),
            outputs=outputs,
            outputs_sha256=_sha256(outputs),
            published_at=now,
            published_by=by,
            note=note[:1000],
            corrects_id=corrects,
        ),
    )


def replay(publication: Publication) -> Replay:
    """Reckons a publication again from its stored inputs; raises `DamagedError` where they were tampered with."""
    snapshot = snapshots.unpack(publication.formula_text, publication.inputs, publication.inputs_sha256)
    reckoned = snapshots.outputs_of(snapshot.cases, snapshot.formula, snapshot.period)
    differences = snapshots.compare(json.loads(publication.outputs), json.loads(snapshots.outputs_text(reckoned)))
    if _sha256(publication.outputs) != publication.outputs_sha256:
        differences.append(
            snapshots.Difference("outputs_sha256", publication.outputs_sha256, _sha256(publication.outputs))
        )
    return Replay(publication, snapshot.cases, tuple(differences))


def published_outputs(publication: Publication) -> dict[str, Any]:
    """The figures as they were published."""
    outputs: dict[str, Any] = json.loads(publication.outputs)
    return outputs


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
