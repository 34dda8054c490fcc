"""A plan: which persona does what, after whom, by which tools and within which limits; a directed acyclic graph."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field, ValidationError

from kowai.errors import InvalidInput
from kowai.plain_yaml import load
from kowai.questions import checked_question
from kowai.types import Value

Kind = TypeVar("Kind", bound=Value)

MOST_STEPS = 20
MOST_ITERATIONS = 10
LONGEST_PLAN = 100_000
QUESTION = "{question}"


class BadPlan(InvalidInput):
    code = "bad_plan"


class TooManySteps(BadPlan):
    code = "plan_too_many_steps"


class UnknownStep(BadPlan):
    code = "plan_unknown_step"


class UnknownStepPersona(BadPlan):
    code = "plan_unknown_persona"


class UnknownStepTool(BadPlan):
    code = "plan_unknown_tool"


class PlanCycle(BadPlan):
    code = "plan_cycle"


class StepLimits(Value):
    """Bound one step: seconds, tools used in a row, and US dollars (null: its share of what the team has left)."""

    seconds: float = Field(default=300, gt=0, le=3_600)
    iterations: int = Field(default=MOST_ITERATIONS, ge=0, le=MOST_ITERATIONS)
    dollars: Decimal | None = Field(default=None, ge=0)


class TeamLimits(Value):
    """Bound all steps together; null dollars leave only the tenant's own limits."""

    seconds: float = Field(default=300, gt=0, le=3_600)
    iterations: int = Field(default=5 * MOST_ITERATIONS, ge=0, le=MOST_STEPS * MOST_ITERATIONS)
    dollars: Decimal | None = Field(default=Decimal(1), ge=0)


class PlannedStep(Value):
    """Give a task to a persona. `{question}` in the task stands for the team's question."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")
    persona: str
    task: str = Field(default=QUESTION, min_length=1, max_length=4_000)
    needs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    limits: StepLimits = StepLimits()

    def text(self, question: str) -> str:
        """Return what the persona is asked: a task that leaves the question out is followed by it."""
        if QUESTION in self.task:
            return self.task.replace(QUESTION, question)
        return f"{self.task}\n\nAll this is about: {question}"


class DrawnStep(BaseModel):
    """Hold a step as a planner draws it; `checked_plan` decides whether it is one."""

    id: str
    persona: str
    task: str
    needs: list[str] = Field(default_factory=list[str])
    tools: list[str] = Field(default_factory=list[str])


class Plan(Value):
    """Hold steps that were checked: names are known, and nobody waits for himself."""

    steps: tuple[PlannedStep, ...]
    limits: TeamLimits = TeamLimits()

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Return the steps' ids level by level: each needs only steps of levels before its own."""
        return levels_of({step.id: step.needs for step in self.steps})

    def results(self) -> tuple[str, ...]:
        """Return the steps that no other needs: what they say is the team's answer."""
        needed = {name for step in self.steps for name in step.needs}
        return tuple(step.id for step in self.steps if step.id not in needed)


class Known(Value):
    """Hold the names that a plan may use."""

    personas: tuple[str, ...]
    tools: tuple[str, ...]


def parse_plan(text: str, known: Known, name: str = "The plan") -> Plan:
    """Return the plan that YAML (or JSON) describes. Raises BadPlan."""
    if len(text) > LONGEST_PLAN:
        raise BadPlan(f"{name} is longer than {LONGEST_PLAN:,} characters.")
    return checked_plan(load(text, name, BadPlan), known, name)


def checked_plan(described: Any, known: Known, name: str = "The plan") -> Plan:
    """Return a plan if all its names are known and it has no cycle. Raises BadPlan, which names the step."""
    if not isinstance(described, Mapping) or set(cast("Mapping[Any, Any]", described)) - {"steps", "limits"}:
        raise BadPlan(f"{name} has to hold a list `steps`, and may hold `limits`.")
    held = cast("Mapping[str, Any]", described)
    raw = held.get("steps")
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise BadPlan(f"{name} has no list `steps` with at least one step.")
    if len(cast("Sequence[Any]", raw)) > MOST_STEPS:
        raise TooManySteps(f"{name} has {len(cast('Sequence[Any]', raw)):,} steps; a team has {MOST_STEPS} at most.")
    limits = _modelled(TeamLimits, held.get("limits") or {}, "`limits`")
    steps = tuple(_step(each, place) for place, each in enumerate(cast("Sequence[Any]", raw), 1))
    _check_names(steps, known)
    plan = Plan(steps=steps, limits=limits)
    plan.levels()
    return plan


def check_texts(plan: Plan, question: str) -> None:
    """Let pass a plan whose tasks can be asked. Raises BadPlan."""
    for step in plan.steps:
        try:
            checked_question(step.text(question))
        except InvalidInput as error:
            raise BadPlan(f"Step '{step.id}' cannot be asked: {error.sentence}") from error


def levels_of(needs: Mapping[str, Collection[str]]) -> tuple[tuple[str, ...], ...]:
    """Sort nodes into levels (Kahn 1962), each in the order given. Raises PlanCycle, which names one cycle."""
    levels: list[tuple[str, ...]] = []
    placed: set[str] = set()
    while len(placed) < len(needs):
        level = tuple(name for name in needs if name not in placed and placed.issuperset(needs[name]))
        if not level:
            cycle = " -> ".join(_cycle({name: needs[name] for name in needs if name not in placed}))
            raise PlanCycle(f"The steps need one another in a circle: {cycle}.")
        placed.update(level)
        levels.append(level)
    return tuple(levels)


def _cycle(needs: Mapping[str, Collection[str]]) -> list[str]:
    """Return one cycle of a graph whose every node needs another of it; its first node comes last again."""
    walked = [next(iter(needs))]
    while walked[-1] not in walked[:-1]:
        walked.append(next(name for name in needs[walked[-1]] if name in needs))
    return walked[walked.index(walked[-1]) :]


def _step(raw: Any, place: int) -> PlannedStep:
    if not isinstance(raw, Mapping):
        raise BadPlan(f"Step {place} is no mapping with `id` and `persona`.")
    held = cast("Mapping[str, Any]", raw)
    return _modelled(PlannedStep, held, f"Step '{held['id']}'" if held.get("id") else f"Step {place}")


def _modelled(kind: type[Kind], raw: Any, where: str) -> Kind:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "it"
        raise BadPlan(f"{where}: {field}: {first['msg']}.") from None


def _check_names(steps: Sequence[PlannedStep], known: Known) -> None:
    ids = [step.id for step in steps]
    for step in steps:
        if ids.count(step.id) > 1:
            raise BadPlan(f"Two steps are called '{step.id}'.")
        if step.persona not in known.personas:
            listed = ", ".join(known.personas)
            raise UnknownStepPersona(f"Step '{step.id}': there is no persona '{step.persona}'; choose one of {listed}.")
        for tool in step.tools:
            if tool not in known.tools:
                listed = ", ".join(known.tools)
                raise UnknownStepTool(f"Step '{step.id}': there is no tool '{tool}'; there are {listed}.")
        for name in step.needs:
            if name not in ids:
                raise UnknownStep(f"Step '{step.id}' needs '{name}', and there is no such step.")
