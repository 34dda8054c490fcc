"""Addresses and names, as far as forms of writing tell them: a model finds more (the extra `presidio`)."""

from collections.abc import Iterator

from kowai.screening import Screened

NAME = r"[^\W\d_a-zß-öø-ÿ][\w'’-]{1,30}"
ENGLISH = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Place|Pl|Terrace|Way|Close"
    r"|Crescent|Highway|Hwy|Parkway|Pkwy)\b\.?"
)
GERMANIC = r"(?:straße|strasse|str\.|weg|allee|platz|gasse|gade|vej|gatan|vägen|katu)"
FRENCH = r"(?:rue|avenue|boulevard|quai|impasse|chemin|place) (?:d[eu]s? |de la |de l'|d')?"
ROMANCE = r"(?:Calle|Avenida|Via|Viale|Piazza|Corso|Rua|Plaza) (?:de |del |della |di |da |dos )?"
ADDRESSES = Screened(
    rf"\b(?!1[5-9]\d\d\b|20\d\d\b)\d{{1,5}}[a-z]?,? (?:{NAME} ){{1,4}}{ENGLISH}(?:,? (?:Apt|Suite|Unit|Ste)\.? ?\d+)?"
    rf"|\b{NAME}{GERMANIC} \d{{1,4}}[a-z]?\b(?:,? \d{{4,5}} [A-ZÄÖÜ][\wäöüß-]+)?"
    rf"|\b\d{{1,4}}(?: bis)?,? {FRENCH}{NAME}(?: {NAME})?"
    rf"|\b{ROMANCE}{NAME}(?: {NAME})?,? \d{{1,4}}\b"
    r"|\bP\.? ?O\.? Box \d{1,6}\b",
)
TITLES = r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Señora?|Sra|Sig|Signora?)\.?"
TELLING = r"(?:[Mm]y name is|[Ii]ch heiße|[Mm]ein Name ist|[Jj]e m'appelle|[Mm]e llamo|[Mm]i chiamo)"
INTRODUCED = rf"(?:{TITLES}|{TELLING}) "
NAMES = Screened(rf"\b{INTRODUCED}(?P<name>{NAME}(?: {NAME}){{0,2}})", screen=INTRODUCED)


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of what is written as a street and number."""
    yield from (match.span() for match in ADDRESSES.finditer(text))


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of a name behind a title, or after somebody says that it is theirs."""
    yield from (match.span("name") for match in NAMES.finditer(text))
