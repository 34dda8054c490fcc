"""Suites: questions with what a good answer to them would be; one YAML file each is shipped, others are stored."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator, model_validator

from kowai.errors import BadRecord, DuplicateId, InvalidInput, KowaiError, TooLarge
from kowai.questions import checked_question
from kowai.scores import METRICS
from kowai.types import Value

MOST_CASES = 50_000
LONGEST_KEY = 200
PRODUCTION = "production"  # the origin of suites that were drawn from what was asked
Grade = Literal[0, 1, 2, 3, 4]


class BadSuite(InvalidInput):
    code = "bad_suite"


class NoCases(BadSuite):
    code = "no_cases"


class TooManyCases(TooLarge):
    code = "too_many_cases"


class Case(Value):
    """Hold a question and what is known of a good answer; what is empty is unknown and not measured.

    One of `answers` is expected, and every one of `facts`; `documents` grades the relevant ones by their external id.
    """

    id: str = Field(min_length=1, max_length=LONGEST_KEY)
    question: str
    answers: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    documents: dict[str, Grade] = Field(default_factory=dict[str, Grade])
    unanswerable: bool = False
    tags: tuple[str, ...] = ()
    persona: str | None = None

    @field_validator("question")
    @classmethod
    def _askable(cls, question: str) -> str:
        return checked_question(question)

    @model_validator(mode="after")
    def _consistent(self) -> "Case":
        if self.unanswerable and (self.answers or self.facts):
            raise ValueError("a question without an answer has no expected answer")
        return self


class Limits(Value):
    """Bound what one evaluation may take; None is no limit."""

    tokens: int | None = Field(default=None, ge=0)
    dollars: Decimal | None = Field(default=Decimal(5), ge=0)
    minutes: float | None = Field(default=60.0, ge=0)


class About(Value):
    """Hold what a suite says about all of its cases."""

    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    persona: str | None = None
    limits: Limits = Limits()
    margins: dict[str, float] = Field(default_factory=dict[str, float])

    @field_validator("margins")
    @classmethod
    def _known(cls, margins: dict[str, float]) -> dict[str, float]:
        for name, margin in margins.items():
            if name not in METRICS or margin < 0:
                raise ValueError(f"{name} is no metric with a margin of 0 or more; there are {', '.join(METRICS)}")
        return margins


class Suite(Value):
    """Hold questions and the limits of asking them; two with the same digest ask the same."""

    about: About
    cases: tuple[Case, ...]

    @property
    def digest(self) -> str:
        """Return 64 hexadecimal digits that name exactly this content."""
        return sha256(self.model_dump_json().encode()).hexdigest()


class BadCase(NamedTuple):
    """Hold why the record at `where` is no case."""

    where: str
    error: KowaiError


class ParsedSuite(NamedTuple):
    suite: Suite
    bad: list[BadCase]


Raw = tuple[str, Mapping[str, Any] | KowaiError]


def collected(about: Mapping[str, Any], records: Iterable[Raw]) -> ParsedSuite:
    """Check each record; of two with the same id the first is kept. Raises BadSuite, NoCases and TooManyCases."""
    cases, bad, seen = dict[str, Case](), list[BadCase](), dict[str, str]()
    described = _about(about)
    for where, record in records:
        try:
            case = _case(where, record)
            if case.id in seen:
                raise DuplicateId(f"{where} repeats the id {case.id!r} of {seen[case.id]}.")
        except KowaiError as error:
            bad.append(BadCase(where, error))
            continue
        cases[case.id], seen[case.id] = case, where
        if len(cases) > MOST_CASES:
            raise TooManyCases(f"{described.name} holds more than {MOST_CASES:,} questions: split it.")
    if not cases:
        raise NoCases(f"{described.name} holds no question{f': {bad[0].error.sentence}' if bad else '.'}")
    return ParsedSuite(Suite(about=described, cases=tuple(cases.values())), bad)


def _about(about: Mapping[str, Any]) -> About:
    try:
        return About.model_validate(about)
    except ValidationError as error:
        raise BadSuite(f"The suite's own fields cannot be used: {fault(error)}.") from error


def _case(where: str, record: Mapping[str, Any] | KowaiError) -> Case:
    if isinstance(record, KowaiError):
        raise record
    try:
        return Case.model_validate(record)
    except ValidationError as error:
        raise BadRecord(f"{where} is no case: {fault(error)}.") from error
    except InvalidInput as error:
        raise type(error)(f"{where}: {error.sentence}") from error


def fault(error: ValidationError) -> str:
    """Return the first fault as words: the field and what is wrong with it."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg'].removeprefix('Value error, ')}"


def named(external_ids: Iterable[str], documents: Mapping[str, int]) -> list[str]:
    """Return each document by the name the case knows it by, which may be the last part of its id."""
    return [next((name for name in documents if is_named(one, name)), one) for one in external_ids]


def is_named(external_id: str, name: str) -> bool:
    return external_id == name or external_id.endswith(f"/{name}")
