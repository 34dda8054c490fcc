"""Patterns: what personal data that follows rules looks like, and which check it must pass."""

import re
from ipaddress import ip_address
from typing import NamedTuple

from kowai.personal import checks
from kowai.personal.checks import Check
from kowai.screening import Screened

NEAR = 60  # characters before a number within which a word says what it is

IBAN_LENGTHS: dict[str, int] = dict(
    zip(
        (
            "AD AE AL AT AZ BA BE BG BH BR BY CH CR CY CZ DE DK DO EE EG ES FI FO FR GB GE GI GL GR GT HR HU IE IL "
            "IQ IS IT JO KW KZ LB LC LI LT LU LV MC MD ME MK MR MT MU NL NO PK PL PS PT QA RO RS SA SE SI SK SM TN "
            "TR UA VA VG XK"
        ).split(),
        (
            *(24, 23, 28, 20, 28, 20, 16, 22, 22, 29, 28, 21, 22, 28, 24, 22, 18, 28, 20, 29, 24, 18, 18, 27, 22, 22),
            *(23, 18, 27, 28, 21, 28, 22, 23, 23, 26, 27, 30, 30, 20, 28, 32, 21, 20, 20, 21, 27, 24, 22, 19, 27, 31),
            *(30, 18, 15, 24, 28, 29, 25, 29, 24, 22, 24, 24, 19, 24, 27, 24, 26, 29, 22, 24, 20),
        ),
        strict=True,
    )
)


class Pattern(NamedTuple):
    """Find one kind: what it looks like, what it must pass, the word that must stand near where that is not enough."""

    kind: str
    shape: Screened
    check: Check | None = None
    near: re.Pattern[str] | None = None
    score: float = 1.0


def shape(pattern: str, flags: int = 0) -> Screened:
    """Compile what may not be a piece of a longer word or number."""
    return Screened(rf"(?<![\w])(?:{pattern})(?![\w])", flags)


def near(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


def is_iban(text: str) -> bool:
    bare = "".join(text.split()).upper()
    return IBAN_LENGTHS.get(bare[:2]) == len(bare) and checks.mod_97(bare)


def is_card(text: str) -> bool:
    figures = checks.digits_of(text)
    return figures[0] in "3456" and len(set(figures)) > 1 and checks.luhn(figures)


def is_address_of_a_machine(text: str) -> bool:
    try:
        ip_address(text.partition("/")[0])
    except ValueError:
        return False
    return True


TAX = near("steuer(?:liche|-|nummer|id)\\S*|identifikationsnummer|idnr|tax")
NINO = "(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
INSURED = near("national insurance|nino|ni (?:number|no)")
BSN = near("bsn|burgerservicenummer|sofinummer")
PESEL = near("pesel")
LICENSE = near(
    "driver'?s?'? licen[cs]e|driving licen[cs]e|licen[cs]e (?:number|no)|führerschein\\w*|permis de conduire"
)
PASSPORT = near("passport|reisepass|passeport|pasaporte|passaporto")

PATTERNS = (
    Pattern(
        "EMAIL",
        Screened(
            r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])", screen="@"
        ),
    ),
    Pattern("IBAN", shape(r"[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?", re.IGNORECASE), is_iban),
    Pattern("CARD", shape(r"[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}|3\d{3}[ -]?\d{6}[ -]?\d{4,5}"), is_card),
    Pattern(
        "IP",
        Screened(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\w]|\.\d)"),
        is_address_of_a_machine,
    ),
    Pattern(
        "IP",
        Screened(
            r"(?<![\w:.])(?=[0-9a-fA-F]*:[0-9a-fA-F:]*:)[0-9a-fA-F:]{3,39}(?![\w:])",
            screen="[0-9a-fA-F:]*:[0-9a-fA-F]*:",
        ),
        is_address_of_a_machine,
    ),
    Pattern("MAC", shape(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")),
    Pattern("NATIONAL_ID", shape(r"\d{3}-\d{2}-\d{4}"), checks.american_social_number),
    Pattern("NATIONAL_ID", shape(r"\d{9}"), checks.american_social_number, near("ssn|social security")),
    Pattern("NATIONAL_ID", shape(rf"{NINO} \d{{2}} \d{{2}} \d{{2}} [A-D]")),
    Pattern("NATIONAL_ID", shape(rf"{NINO}\d{{6}}[A-D]"), None, INSURED),
    Pattern("NATIONAL_ID", shape(r"\d{2} ?\d{3} ?\d{3} ?\d{3}"), checks.german_tax_id, TAX),
    Pattern("NATIONAL_ID", shape(r"\d{8}-?[A-Z]|[XYZ]-?\d{7}-?[A-Z]"), checks.spanish_id),
    Pattern(
        "NATIONAL_ID", shape(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", re.IGNORECASE), checks.italian_tax_code
    ),
    Pattern(
        "NATIONAL_ID", shape(r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"), checks.french_social_number
    ),
    Pattern("NATIONAL_ID", shape(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"), checks.belgian_number),
    Pattern("NATIONAL_ID", shape(r"\d{6}[-+ABCDEFUVWXY]\d{3}[0-9A-FHJ-NPR-Y]"), checks.finnish_id),
    Pattern("NATIONAL_ID", shape(r"\d{3}\.\d{3}\.\d{3}-\d{2}"), checks.brazilian_cpf),
    Pattern("NATIONAL_ID", shape(r"[2-9]\d{3} \d{4} \d{4}"), checks.verhoeff),
    Pattern("NATIONAL_ID", shape(r"(?:19|20)?\d{6}[-+]\d{4}"), checks.swedish_number),
    Pattern("NATIONAL_ID", shape(r"\d{11}"), checks.weighted((1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10), PESEL),
    Pattern("NATIONAL_ID", shape(r"\d{9}"), checks.weighted((9, 8, 7, 6, 5, 4, 3, 2, -1)), BSN),
    Pattern("LICENSE", shape(r"[A-Z]{0,2}\d{6,14}[A-Z]{0,2}", re.IGNORECASE), None, LICENSE, 0.8),
    Pattern("PASSPORT", shape(r"(?=[A-Z0-9]*\d{4})[A-Z0-9]{7,9}"), None, PASSPORT, 0.8),
)
