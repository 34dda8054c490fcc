"""What a check found, in a sentence, with what to do about it."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    level: Level
    subject: str
    sentence: str
    fix: str = ""


def ok(subject: str, sentence: str) -> Finding:
    return Finding("ok", subject, sentence)


def warn(subject: str, sentence: str, fix: str) -> Finding:
    return Finding("warn", subject, sentence, fix)


def fail(subject: str, sentence: str, fix: str) -> Finding:
    return Finding("fail", subject, sentence, fix)
