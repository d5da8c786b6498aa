"""`hotline survey`: call-backs that a person starts, and how they stand."""

import getpass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hotline.clock import SystemClock
from hotline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="电话回访")
out = Console()


@app.command("start", help="安排回访一个工单的来电人；在流程规定的时间内拨打")
def survey_start(ticket: Annotated[str, typer.Argument(help="工单号")]) -> None:
    """Have a ticket's caller asked, at the hours that the survey's flow allows."""
    from hotline.wiring.database import open_database
    from tickets.survey import start_survey
    from tickets.survey_rules import SurveyState, load_survey

    settings = load_settings()
    plan = load_survey(settings)
    with open_database(settings).transaction() as session:
        survey = start_survey(
            session, ticket.upper(), plan=plan, now=SystemClock().now(), actor=f"cli:{getpass.getuser()}"
        )
        when = survey.due_at.astimezone(settings.zone).strftime("，%Y-%m-%d %H:%M 起拨打") if survey.due_at else ""
        out.print(f"工单 {ticket.upper()} 第 {survey.pass_number} 次回访：{SurveyState(survey.state).label}{when}")


@app.command("opt-out", help="不再电话回访这个号码")
def survey_opt_out(number: str) -> None:
    """Ring a number no more."""
    _set_opt_out(number, wants_none=True)
    out.print(f"不再回访 {number}")


@app.command("opt-in", help="恢复电话回访这个号码")
def survey_opt_in(number: str) -> None:
    """Ring it again."""
    _set_opt_out(number, wants_none=False)
    out.print(f"可以回访 {number}")


def _set_opt_out(number: str, *, wants_none: bool) -> None:
    from hotline.wiring.database import open_database
    from tickets.survey import set_opt_out

    with open_database(load_settings()).transaction() as session:
        set_opt_out(session, number, wants_none=wants_none, actor=f"cli:{getpass.getuser()}", now=SystemClock().now())


@app.command("list", help="列出待拨打和拨打中的回访；给出工单号则列出它的全部回访")
def survey_list(ticket: Annotated[str, typer.Argument(help="工单号")] = "") -> None:
    """List the open surveys, or all of a ticket."""
    from hotline.wiring.database import open_database
    from tickets import repository, survey_repository
    from tickets.survey_rules import SurveyState

    settings = load_settings()
    table = Table("工单", "次", "状态", "已拨", "下次拨打", "联系", "解决", "满意")
    with open_database(settings).reading() as session:
        if ticket:
            known = repository.ticket_by_number(session, ticket.upper())
            surveys = survey_repository.surveys_of_ticket(session, known.id)
        else:
            surveys = survey_repository.open_surveys(session)
        for survey in surveys:
            due = survey.due_at.astimezone(settings.zone).strftime("%Y-%m-%d %H:%M") if survey.due_at else "-"
            answers = [getattr(survey, name) or "-" for name in ("contacted", "solved", "satisfied")]
            table.add_row(
                survey.ticket.number,
                str(survey.pass_number),
                SurveyState(survey.state).label,
                str(survey.attempts),
                due,
                *answers,
            )
    out.print(table)
