"""Policies: what follows when a guard sees something, by an operator's block and a tenant's own switches."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kowai.errors import InvalidInput
from kowai.guards import ACTIONS, Action, Content, Guard, Limits, Stage, guards
from kowai.types import Finding, Value, Verdict

ADMITTED = Verdict(allowed=True)


class UnknownGuard(InvalidInput):
    code = "unknown_guard"


class Switch(Value):
    """Set what one guard does at one stage."""

    guard: str
    stage: Stage
    action: Action


class GuardPolicy(Value):
    """Hold the switches that differ from the guards' own defaults, the last one for a guard and stage counting."""

    switches: tuple[Switch, ...] = ()
    limits: Limits = Limits()

    def action(self, name: str, stage: Stage) -> Action:
        """Return what `name` does at `stage`; "off" where it does not look."""
        guard = guards().get(name)
        if guard is None or stage not in guard.defaults:
            return "off"
        chosen: list[Action] = [
            switch.action for switch in self.switches if (switch.guard, switch.stage) == (name, stage)
        ]
        return chosen[-1] if chosen else guard.defaults[stage]

    @property
    def masks_prompts(self) -> bool:
        """Tell whether personal data is masked before a model reads it."""
        return self.action("personal_data", "input") == "mask"

    def overridden(self, switches: Iterable[Switch]) -> "GuardPolicy":
        return self.model_copy(update={"switches": (*self.switches, *switches)})


def checked_switch(switch: Switch) -> Switch:
    """Return a switch that exists. Raises UnknownGuard."""
    guard = guards().get(switch.guard)
    if guard is None:
        raise UnknownGuard(f"There is no guard '{switch.guard}'; there are {', '.join(guards())}.")
    if switch.stage not in guard.defaults:
        raise UnknownGuard(f"The guard '{switch.guard}' looks at {', '.join(guard.defaults)}, not at {switch.stage}.")
    if switch.action not in ACTIONS[switch.stage]:
        raise UnknownGuard(f"At the stage {switch.stage} a guard may {', '.join(ACTIONS[switch.stage])}.")
    return switch


class Inspection(NamedTuple):
    """Hold what was seen; `verdict` refuses when the policy says so of any of it."""

    findings: tuple[Finding, ...] = ()
    verdict: Verdict = ADMITTED

    def asking(self, action: Action) -> tuple[Finding, ...]:
        """Return the findings that this action follows from."""
        return tuple(finding for finding in self.findings if finding.action == action)


def inspect(content: Content, policy: GuardPolicy) -> Inspection:
    """Let every guard that is on look at `content`; the first that refuses says why."""
    findings: list[Finding] = []
    refusing: list[tuple[str, Guard]] = []
    for name, guard in guards().items():
        action = policy.action(name, content.stage)
        seen = guard.look(content) if action != "off" else ()
        findings += [Finding(guard=name, stage=content.stage, action=action, **sight._asdict()) for sight in seen]
        if seen and action == "refuse":
            refusing.append((name, guard))
    verdict = ADMITTED
    if refusing:
        name, guard = refusing[0]
        verdict = Verdict(allowed=False, code=f"guard_{name}", sentence=guard.sentence)
    return Inspection(tuple(findings), verdict.model_copy(update={"findings": tuple(findings)}))


def reported(findings: Sequence[Finding]) -> list[Mapping[str, object]]:
    """Return one event's payload a guard: kinds, counts and the highest score, never text."""
    payloads: list[Mapping[str, object]] = []
    for guard, stage, action in dict.fromkeys((each.guard, each.stage, each.action) for each in findings):
        own = [each for each in findings if (each.guard, each.stage, each.action) == (guard, stage, action)]
        kinds = dict(Counter(each.kind for each in own))
        score = round(max(each.score for each in own), 3)
        payloads.append({"guard": guard, "stage": stage, "action": action, "kinds": kinds, "score": score})
    return payloads
