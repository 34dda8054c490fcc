"""Optimisation: the program whose prompt is made better, how its answers are rated, and the best prompt so far."""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import md5, sha256
from threading import Lock
from typing import Any, Literal, NamedTuple, Self, cast

import dspy
from dspy.utils.saving import get_dependency_versions

from kowai.errors import InvalidInput
from kowai.metrics import containment
from kowai.pricing import Dollars
from kowai.signatures import AnswerFromPassages, told_to
from kowai.suites import Case
from kowai.types import Value
from kowai.versions import PromptSetting

METRIC = "containment, halved without a citation; abstention where nothing can be said"
UNCITED = 0.5
LEAST_CASES = 3  # in each half
LEAST_GAIN = 1e-9
INPUTS = ("voice", "conversation", "passages", "question")

Half = Literal["train", "held_out"]
_MARKER = re.compile(r"\[(\d+)\]")


class SuiteTooSmall(InvalidInput):
    code = "suite_too_small"


class Rating(NamedTuple):
    """Hold how good an answer is, in [0, 1], and what was wrong with it, for a model that reflects."""

    score: float
    feedback: str


def half_of(key: str) -> Half:
    """Return the half a case belongs to, always the same one, and half of all cases by chance."""
    return "train" if md5(key.encode(), usedforsecurity=False).hexdigest()[0] < "8" else "held_out"


def is_telling(case: Case) -> bool:
    """Tell whether the case says what a good answer holds."""
    return case.unanswerable or bool(case.answers or case.facts)


def rate(case: Case, found: bool, answer: str, passages: int) -> Rating:
    """Rate an answer made from so many numbered passages."""
    if case.unanswerable:
        return Rating(float(not found), "Right." if not found else "The passages do not hold it: set found to false.")
    if not found or not answer.strip():
        return Rating(0.0, f"The passages hold the answer, which says: {'; '.join((*case.answers, *case.facts))}.")
    said = containment(answer, case.answers, case.facts)
    cited = any(0 < int(number) <= passages for number in _MARKER.findall(answer))
    missing = [] if said == 1 else [f"It does not say all of: {'; '.join((*case.answers, *case.facts))}."]
    missing += [] if cited else ["It cites no passage by its number, as in [1]."]
    return Rating(said * (1.0 if cited else UNCITED), " ".join(missing) or "Right.")


def example_of(case: Case, inputs: Mapping[str, str], passages: int) -> dspy.Example:
    """Return what an optimiser learns from; its `case` leads the program to what is expected."""
    expected = {"expected": "; ".join((*case.answers, *case.facts)) or "(the passages do not hold it)"}
    return dspy.Example(case=case.id, **inputs, **expected, count=passages).with_inputs("case", *INPUTS)


class Tally:
    """Remember how every prompt that was tried did on each case; all copies of a program share it."""

    def __init__(self, cases: Mapping[str, Case], counts: Mapping[str, int]) -> None:
        self._cases, self._counts = cases, counts
        self._scores: dict[str, dict[str, float]] = {}
        self._lock = Lock()

    def __deepcopy__(self, _memo: Any) -> Self:
        return self

    def rating(self, case: str, prediction: Any) -> Rating:
        found, answer = bool(prediction.found), str(prediction.answer or "")
        return rate(self._cases[case], found, answer, self._counts[case])

    def note(self, told: PromptSetting, case: str, score: float, *, final: bool = False) -> None:
        """Keep a score: the first of several, because only what failed is tried again, or else the final one."""
        with self._lock:
            scores = self._scores.setdefault(told.model_dump_json(), {})
            if final or case not in scores:
                scores[case] = score

    def mean(self, told: PromptSetting) -> float | None:
        """Return how a prompt did on the cases it was tried on; None before any."""
        scores = self._scores.get(told.model_dump_json())
        return sum(scores.values()) / len(scores) if scores else None

    def best(self, start: PromptSetting) -> "Gain":
        """Return the prompt that beats the start by most on the same cases, of those tried on half of them or more."""
        before = self._scores.get(start.model_dump_json(), {})
        gains = [Gain(start, 0.0, len(before))]
        for told, scores in self._scores.items():
            shared = [case for case in scores if case in before]
            if shared and 2 * len(shared) >= len(self._cases):
                gain = sum(scores[case] - before[case] for case in shared) / len(shared)
                gains.append(Gain(PromptSetting.model_validate_json(told), gain, len(shared)))
        return max(gains, key=lambda each: (round(each.gain, 9), each.cases if each.gain > LEAST_GAIN else 0))


class Gain(NamedTuple):
    """Hold a prompt and by how much its mean score on so many cases is above the start's."""

    prompt: PromptSetting
    gain: float
    cases: int


class CitedAnswer(dspy.Module):
    """Answer from passages, as the persona does, and tell the tally how each case went."""

    def __init__(self, told: PromptSetting, tally: Tally) -> None:
        super().__init__()
        self.answer = dspy.Predict(told_to(told.instructions))
        self.answer.demos = [dspy.Example(**demo) for demo in told.demos]
        self.tally = tally

    def forward(self, case: str, **inputs: Any) -> dspy.Prediction:
        prediction = self.answer(**inputs)
        self.tally.note(prompt_of(self), case, self.tally.rating(case, prediction).score)
        return prediction

    async def aforward(self, case: str, **inputs: Any) -> dspy.Prediction:
        """Answer as `forward` does; optimisers block, so what is awaited is a final rating."""
        prediction = await self.answer.acall(**inputs)
        self.tally.note(prompt_of(self), case, self.tally.rating(case, prediction).score, final=True)
        return prediction

    def metric(
        self, example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> Any:
        """Rate a prediction as DSPy's optimisers ask for it: a number, or with feedback on one component."""
        rating = self.tally.rating(example.case, prediction)
        return dspy.Prediction(**rating._asdict()) if pred_name else rating.score


def prompt_of(program: Any) -> PromptSetting:
    """Return what a program has learned; the instructions that are shipped are none of its own."""
    told = program.answer.signature.instructions
    shown = [dict(demo.items()) for demo in program.answer.demos]
    demos = tuple({name: value for name, value in demo.items() if name != "augmented"} for demo in shown)
    return PromptSetting(instructions=None if told == AnswerFromPassages.instructions else told, demos=demos)


def artefact_of(told: PromptSetting) -> dict[str, Any]:
    """Return a prompt as the JSON that a DSPy program saves its state in: no key, no model, no pickle."""
    state: dict[str, Any] = cast(Any, CitedAnswer(told, Tally({}, {}))).dump_state(json_mode=True)
    return json.loads(json.dumps(state | {"metadata": {"dependency_versions": get_dependency_versions()}}))


def data_hash(examples: Sequence[dspy.Example]) -> str:
    """Return 64 hexadecimal digits that name exactly what was learned from."""
    told = json.dumps([example.toDict() for example in examples], sort_keys=True, ensure_ascii=False)
    return sha256(told.encode()).hexdigest()


class Lineage(Value):
    """Say where a prompt comes from: `before` and `after` are mean scores on the train half."""

    optimisation_id: str
    optimiser: str
    suite_id: str
    parent: str | None
    data_hash: str
    documents: tuple[str, ...] = ()
    metric: str = METRIC
    train_cases: int
    before: float
    after: float
    calls: int
    tokens: int
    dollars: Dollars | None
