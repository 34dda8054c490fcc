"""Secrets: keys and tokens whose issuers gave them a form, private keys, and what is assigned to a password."""

import re
from collections.abc import Iterator

from kowai.screening import Screened

FORMS = (
    r"\bAKIA[0-9A-Z]{16}\b",  # AWS
    r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_\w{22,255}\b",
    r"\bglpat-[\w-]{20,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"\bsk-(?:proj-|ant-|or-|live-)?[\w-]{20,}",  # OpenAI, Anthropic and others
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"\bAIza[\w-]{35}",  # Google
    r"\bya29\.[\w-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}\b|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[\w-]{40,}|\bdckr_pat_[\w-]{20,}|\bSG\.[\w-]{16,}\.[\w-]{16,}",
    r"\bkowai_[\w.-]{20,}",
    r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",  # a JSON web token
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\S]{16,}?-----END (?:[A-Z]+ )*PRIVATE KEY-----",
)
FORMED = Screened("|".join(FORMS))
ASSIGNED = Screened(
    r"\b(?:pass(?:word|wd|phrase)|pwd|passwort|secret|(?:api|access)[_ -]?key|auth[_ -]?token|client[_ -]?secret)\b"
    r"[\"']?\s{0,3}(?:[:=]|\bis\b|\bist\b)\s{0,3}[\"']?(?P<value>(?=[^\s\"',;]*[\d!@#$%^&*_])[^\s\"',;]{6,200})",
    re.IGNORECASE,
)
IN_URL = Screened(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:(?P<value>[^\s/@]{3,200})@", re.IGNORECASE, "://")
BEARER = Screened(r"\bBearer\s+(?P<value>[\w.~+/-]{20,}=*)", screen="Bearer")


def find_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each secret, without the words that introduce it."""
    yield from (match.span() for match in FORMED.finditer(text))
    for pattern in (ASSIGNED, IN_URL, BEARER):
        yield from (match.span("value") for match in pattern.finditer(text))
