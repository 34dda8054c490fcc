"""What stands behind each workflow that may be started through the API: a permission, and how its text stays here."""

import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from deployments.shim.identity import Principal
from deployments.shim.promoting import begin_promotion
from kowai.errors import InvalidInput
from kowai.question_sets import read_rows
from tasks.approvals import offered
from tasks.batches import Order, receive_batch
from tasks.evaluations import Trial, receive_evaluation
from tasks.hosting import read_tenant
from tasks.outbox import Along, together
from tasks.question_sets import find_question_set, receive_question_set
from tasks.quote import quote_batch
from tasks.quote_evaluation import quote_evaluations, quote_promotion
from tasks.quote_team import quote_team
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tasks.sources import remember, remembered_sources
from tasks.suites import find_suite
from tasks.teams import Assignment, receive_team
from tasks.workflow_runs import receive_run

CODE = re.compile(r"[a-z0-9_-]{1,50}|\d{1,9}\.\d{1,9}")

Given = Mapping[str, Any]


class Begin(Protocol):
    """Return what stores the run in the transaction of its subject: accepted is never forgotten, nor half accepted.

    The run is given the subject's id, under this name, and the tenant's; or else these ids, figures, dates and codes.
    """

    def __call__(self, subject: str, parameters: Given | None = None) -> Along: ...


Opening = Callable[[Given, Principal, Begin], Awaitable[UUID]]


class Workflow(NamedTuple):
    """Offer a deployment: the permission it takes, the one that carries it out, and what a run of that is given.

    `result` is the route that shows what came of it; `hidden` are parameters that nobody sets here, beside the tenant.
    """

    permission: str
    carried_out_by: str
    open: Opening
    result: str | None = None
    hidden: tuple[str, ...] = ()


async def as_it_is(given: Given, caller: Principal, begin: Begin) -> UUID:
    """Hand ids, figures, dates and codes on, with the caller's tenant. Raises InvalidInput for anything like text."""
    _refuse_text(list(given.values()))
    tenant = await read_tenant(caller.tenant_id)
    return await receive_run(caller.tenant_id, begin("run_id", {**given, "tenant": tenant.name}))


def _refuse_text(values: list[Any]) -> None:
    for value in values:
        if isinstance(value, list):
            _refuse_text(cast("list[Any]", value))
        elif isinstance(value, str) and not CODE.fullmatch(value):
            raise InvalidInput("Only ids, dates and codes such as fetch_timeout can be given here.")


async def a_question(given: Given, caller: Principal, begin: Begin) -> UUID:
    inquiry = Inquiry(given["question"], given["persona"], asked_by=caller.id)
    return await receive_query(inquiry, caller.tenant_id, along=begin("query_id"))


async def an_ingestion(given: Given, caller: Principal, begin: Begin) -> UUID:
    if given["sources"]:
        await remember(given["sources"], caller.tenant_id)
    uris = given["sources"] or await remembered_sources(caller.tenant_id)
    sources = [{"uri": uri} for uri in uris]
    return await receive_ingestion(sources, caller.tenant_id, along=begin("ingestion_id"))


async def a_batch(given: Given, caller: Principal, begin: Begin) -> UUID:
    if bool(given["questions"]) == bool(given["question_set"]):
        raise InvalidInput("Give either questions or question_set.")
    if given["questions"]:
        parsed = read_rows(given["questions"])
        if parsed.bad:
            raise parsed.bad[0].error
        set_id = await receive_question_set("sent with a batch", parsed.questions, caller.tenant_id)
    else:
        set_id = await find_question_set(given["question_set"], caller.tenant_id)
    order = Order(set_id, given["personas"], given["dry_run"], caller.id)
    quote = (await quote_batch(order, caller.tenant_id)).above(Decimal(given["approve_above"]))
    along = together(offered("run-personas", quote, dry_run=order.dry_run), begin("batch_id"))
    return await receive_batch(order, caller.tenant_id, along=along)


async def an_evaluation(given: Given, caller: Principal, begin: Begin) -> UUID:
    if not given["suite"]:
        raise InvalidInput("Name the suite; evaluate-nightly evaluates them all.")
    suite_id = await find_suite(given["suite"], caller.tenant_id)
    trial = Trial(suite_id, given["personas"], given["judged"], versions=[UUID(one) for one in given["candidates"]])
    quote = (await quote_evaluations([trial], caller.tenant_id)).above(Decimal(given["approve_above"]))
    along = together(offered("evaluate", quote), begin("evaluation_id"))
    return await receive_evaluation(trial, caller.tenant_id, along=along)


async def a_promotion(given: Given, caller: Principal, begin: Begin) -> UUID:
    version_id, suite_id = UUID(given["version"]), await find_suite(given["suite"], caller.tenant_id)
    quote = (await quote_promotion(version_id, suite_id, caller.tenant_id)).above(Decimal(given["approve_above"]))
    along = together(offered("promote", quote), begin("promotion_id"))
    return await begin_promotion(version_id, suite_id, caller, along)


async def a_team(given: Given, caller: Principal, begin: Begin) -> UUID:
    assignment = Assignment(given["question"], given["plan"], asked_by=caller.id)
    quote = (await quote_team(assignment, caller.tenant_id)).above(Decimal(given["approve_above"]))
    along = together(offered("run-team", quote), begin("team_id"))
    return await receive_team(assignment, caller.tenant_id, along=along)


QUOTE = ("dry_run",)  # of what is only quoted nothing is stored: POST /api/v1/evaluations, promotions or teams
WORKFLOWS = {
    "ask": Workflow(
        "questions.ask", "answer-query/answer-query", a_question, "/api/v1/query/{}", hidden=("show_text",)
    ),
    "evaluate": Workflow(
        "evaluations.run",
        "evaluate/run-stored-evaluation",
        an_evaluation,
        "/api/v1/evaluations/{}",
        hidden=QUOTE,
    ),
    "evaluate-nightly": Workflow(
        "evaluations.run",
        "evaluate/evaluate-nightly",
        as_it_is,
        hidden=("suite", "personas", "judged", "candidates", *QUOTE),
    ),
    "ingest-documents": Workflow("sources.write", "ingest-stored/ingest-stored", an_ingestion, "/api/v1/ingestions/{}"),
    "ingest-nightly": Workflow("sources.write", "ingest-due/ingest-nightly", as_it_is),
    "promote": Workflow(
        "versions.promote",
        "promote/run-stored-promotion",
        a_promotion,
        "/api/v1/promotions/{}",
        hidden=QUOTE,
    ),
    "reconcile": Workflow(
        "documents.delete",
        "reconcile/reconcile",
        as_it_is,
        hidden=("keep_versions", "keep_days"),  # by retention.manage: PUT /api/v1/retention
    ),
    "replay-dead-letters": Workflow("documents.write", "replay-dead-letters/replay-dead-letters", as_it_is),
    "report-costs": Workflow("costs.read", "report-costs/report-costs", as_it_is),
    "report-usage": Workflow("costs.read", "report-usage/report-usage", as_it_is),
    "run-personas": Workflow("batches.run", "run-personas/run-stored-batch", a_batch, "/api/v1/batches/{}"),
    "run-team": Workflow("teams.run", "run-team/run-stored-team", a_team, "/api/v1/teams/{}", hidden=QUOTE),
    "watch-experiments": Workflow("versions.promote", "watch-experiments/watch-experiments", as_it_is),
    "watch-live": Workflow("versions.promote", "watch-live/watch-live", as_it_is),
}
NOT_OFFERED = {
    "answer-query": "carries out `ask`",
    "forget-document": "its parameter is a document's name: DELETE /api/v1/documents/{id}",
    "ingest-stored": "carries out `ingest-documents`",
    "optimise": "POST /api/v1/optimisations",
    "reindex": "moves all tenants: POST /api/v1/reindex",
    "reindex-stored": "carries out `reindex`",
    "run-stored-batch": "carries out `run-personas`",
    "run-stored-evaluation": "carries out `evaluate`",
    "run-stored-optimisation": "carries out `optimise`",
    "run-stored-promotion": "carries out `promote`",
    "run-stored-team": "carries out `run-team`",
}
