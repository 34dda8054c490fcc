"""Secrets that the user gives by the environment: none that is empty, short, or known from somebody's documentation."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LEAST_PASSWORD = 12
LEAST_KEY = 32  # as long as its hash (RFC 7518, section 3.2)
FEWEST_CHARACTERS = 5  # different ones

# What examples, images and frameworks call their secrets.
KNOWN = re.compile(
    r"(your|my|the|super|very|top|default|example|test|dev|some|please)*"
    r"(password|passwort|passwd|pass|secret|secretkey|postgres|postgresql|kowai|kowaiapp|prefect|admin|root|user|changeme"
    r"|changethis|changeit|insertsecurekeyhere|replaceme|letmein|welcome|qwerty|qwertyuiop|insecure|key|token|example"
    r"|mysecretpassword|changethisinproduction|jwtsecret)+"
)


class Given(NamedTuple):
    """Name a secret by its variable; `value` is None where the variable says nothing."""

    name: str
    value: str | None
    least: int = LEAST_PASSWORD


def password_of(url: str) -> str | None:
    """Return the password in a URL, None where it names none and the server is asked in another way."""
    found = urlsplit(url).password
    return None if found is None else unquote(found)


def faults(given: list[Given]) -> Iterator[str]:
    """Yield a sentence for each secret that is no secret; the secret itself is never repeated."""
    for name, value, least in given:
        if value is None:
            continue
        if not value.strip():
            yield f"{name} is empty: give it a secret, or leave the variable out."
        elif is_known(value):
            yield f"{name} is a default that everybody knows: choose another, such as `openssl rand -base64 33` makes."
        elif len(value) < least:
            yield f"{name} is {len(value)} characters long, which can be guessed: it takes {least}."
        elif len(set(value)) < FEWEST_CHARACTERS:
            yield f"{name} repeats a few characters, which can be guessed: choose another."


def is_known(value: str) -> bool:
    """Tell whether a secret is one of the known defaults, also with figures or signs around it."""
    return bool(KNOWN.fullmatch(re.sub(r"[\W\d_]+", "", value.lower())))
