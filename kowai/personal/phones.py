"""Telephone numbers: by Google's plan of numbers where the country is told, by shape and the words around elsewhere."""

import re
from collections.abc import Iterator

import phonenumbers

from kowai.personal.checks import digits_of
from kowai.personal.patterns import near
from kowai.screening import Screened

SHORTEST, LONGEST = 6, 16
GROUP = r"(?:\(\d{1,5}\)|\d{1,15}+)"
ENOUGH_DIGITS = Screened(rf"\d(?:[-./ ()]{{0,5}}\d){{{SHORTEST - 1}}}")
CANDIDATE = re.compile(
    rf"(?<![\w/$€£#@-])(?<!\d[.,:])\+?{GROUP}(?:(?: ?[-./] ?| |(?<=\))|(?=\()){GROUP}){{0,6}}+"
    r"(?: ?(?:x|ext\.?) ?\d{1,6})?"
    r"(?![\w@%€]|[.,:/-]\d)"
)
CALLED = near(
    "phones?|tele?phones?|tel|call(?:ed|ing)?|cell|mobile|mobil|fax|number|numbers|hotline|dial(?:led|ling)?|text|sms"
    "|whatsapp|contact|reach|ring|answer(?:s|ed|ing)?|telefon\\w*|handy|rufen|anrufen|rufnummer|téléphone|appele[rz]"
    "|portable|teléfono|móvil|llam\\w+|telefono|cellulare|chiam\\w+|telefone|celular|telefoon\\w*|bellen|gsm|puhelin"
)
OTHERWISE_NUMBERED = near(
    "order|invoice|ticket|version|isbn|issn|serial|model|part|pages?|pp|article|section|account|case|reference|ref|sku"
    "|ids?|zip|postcode|box|rfc|iso|din|build|licen[cs]e|passport|card|ssn|social security|tracking|customer|member"
    "|policy|flight|room|vat|tax|bestell\\w*|rechnung\\w*|kunden\\w*|vertrags\\w*|commande|facture|pedido|factura"
)
LABEL = re.compile(
    r"[ (-]{1,3}(?:office|fax|mobile|cell|home|work|direct|phone|tel|büro|mobil|bureau|casa)\b", re.IGNORECASE
)
STREET = re.compile(r",? [^\W\d_a-z][^\W\d_A-Z]{2}")
DATE = re.compile(
    r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}|(?:1[5-9]|20)\d\d ?- ?(?:1[5-9]|20)?\d\d"
)
THOUSANDS = re.compile(r"\d{1,3}(?:[ .]\d{3})+")
# Written as telephone numbers are: an area in brackets, a leading 0 or +, an extension, or groups with hyphens or dots.
DIALLED = re.compile(r"^(?:\+|00)\d|^\(\d+\)|^0\d|x\s?\d+$|ext")
GROUPED = re.compile(r"^\d{1,4}(?:([-.])\d{2,4})(?:\1\d{2,4}){1,3}$")
BEFORE, NUMBERED = 48, 24


def find_phones(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield (start, end, score) of each telephone number."""
    if not any(ENOUGH_DIGITS.finditer(text)):
        return
    for match in CANDIDATE.finditer(text):
        before = text[max(0, match.start() - BEFORE) : match.start()]
        score = _score(match[0], before, text[match.end() : match.end() + BEFORE])
        if score:
            yield match.start(), match.end(), score


def _score(written: str, before: str, after: str) -> float:
    """Return how sure it is that this is a telephone number; 0 for what is something else."""
    figures = digits_of(re.split(r" ?(?:x|ext)", written)[0])
    if not SHORTEST <= len(figures) <= LONGEST or DATE.fullmatch(written):
        return 0.0
    if written.startswith("+"):
        return 1.0 if _is_planned(written) else 0.8
    if LABEL.match(after):
        return 0.9
    if OTHERWISE_NUMBERED.search(before[-NUMBERED:]) or STREET.match(after):
        return 0.0
    if CALLED.search(before):
        return 0.9
    is_dialled = DIALLED.search(written) or GROUPED.match(written)
    return 0.7 if is_dialled and not THOUSANDS.fullmatch(written) else 0.0


def _is_planned(written: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(written))
    except phonenumbers.NumberParseException:
        return False
