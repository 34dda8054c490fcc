"""Check digits: what tells a number that names a person or an account from any other number."""

from collections.abc import Callable

LETTERS_ES = "TRWAGMYFPDXBNJZSQVHLCKE"
LETTERS_FI = "0123456789ABCDEFHJKLMNPRSTUVWXY"
VERHOEFF_TURN = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)
# The Italian tax code's values of characters in odd places.
ODD_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
ODD_IT = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (*ODD_VALUES[:10], *ODD_VALUES), strict=True))

Check = Callable[[str], bool]


def digits_of(text: str) -> str:
    return "".join(character for character in text if character.isdecimal())


def luhn(text: str) -> bool:
    """Check the last digit of a card (ISO/IEC 7812-1)."""
    figures = [int(figure) for figure in reversed(digits_of(text))]
    doubled = [2 * figure - 9 * (figure > 4) for figure in figures[1::2]]
    return (sum(figures[::2]) + sum(doubled)) % 10 == 0


def mod_97(text: str) -> bool:
    """Check an IBAN (ISO 13616, ISO/IEC 7064 MOD 97-10)."""
    bare = "".join(text.split()).upper()
    return int("".join(str(int(character, 36)) for character in bare[4:] + bare[:4])) % 97 == 1


def weighted(weights: tuple[int, ...], modulus: int = 11) -> Check:
    """Return a check that the weighted digits add up to a multiple of `modulus`."""

    def check(text: str) -> bool:
        figures = digits_of(text)
        total = sum(weight * int(figure) for weight, figure in zip(weights, figures, strict=False))
        return len(figures) == len(weights) and len(set(figures)) > 1 and total % modulus == 0

    return check


def german_tax_id(text: str) -> bool:
    """Check a Steuer-Identifikationsnummer (ISO/IEC 7064 MOD 11,10)."""
    figures, product = digits_of(text), 10
    for figure in figures[:10]:
        total = (int(figure) + product) % 10 or 10
        product = 2 * total % 11
    return len(figures) == 11 and figures[0] != "0" and (11 - product) % 10 == int(figures[10])


def spanish_id(text: str) -> bool:
    """Check a DNI or NIE by its letter."""
    bare = text.upper().replace("-", "").replace(" ", "")
    number = bare[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return LETTERS_ES[int(number) % 23] == bare[-1]


def italian_tax_code(text: str) -> bool:
    """Check a codice fiscale by its last letter."""
    code = text.upper()
    odd = sum(ODD_IT[character] for character in code[:15:2])
    even = sum(int(character, 36) - 10 * character.isalpha() for character in code[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == code[15]


def french_social_number(text: str) -> bool:
    """Check a NIR: its key is 97 less the number modulo 97."""
    bare = text.replace(" ", "").upper().replace("2A", "19").replace("2B", "18")
    return len(bare) == 15 and 97 - int(bare[:13]) % 97 == int(bare[13:])


def belgian_number(text: str) -> bool:
    """Check a rijksregisternummer, of somebody born before or after 2000."""
    figures = digits_of(text)
    return any(97 - int(century + figures[:9]) % 97 == int(figures[9:]) for century in ("", "2"))


def finnish_id(text: str) -> bool:
    """Check a henkilötunnus by its last character."""
    return LETTERS_FI[int(digits_of(text[:6]) + digits_of(text[7:10])) % 31] == text[10].upper()


def brazilian_cpf(text: str) -> bool:
    """Check both last digits of a CPF."""
    figures = [int(figure) for figure in digits_of(text)]

    def key(length: int) -> int:
        total = sum(weight * figure for weight, figure in zip(range(length + 1, 1, -1), figures, strict=False))
        return total * 10 % 11 % 10

    return len(figures) == 11 and len(set(figures)) > 1 and key(9) == figures[9] and key(10) == figures[10]


def verhoeff(text: str) -> bool:
    """Check an Aadhaar number (Verhoeff 1969, over the dihedral group D5)."""
    held = 0
    for place, figure in enumerate(reversed(digits_of(text))):
        held = _dihedral(held, VERHOEFF_TURN[place % 8][int(figure)])
    return held == 0


def _dihedral(left: int, right: int) -> int:
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
    return 5 + (left - right) % 5 if right < 5 else (left - right) % 5


def american_social_number(text: str) -> bool:
    """Leave out areas and groups that are never given out (SSA)."""
    figures = digits_of(text)
    area, group, serial = figures[:3], figures[3:5], figures[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def swedish_number(text: str) -> bool:
    return luhn(digits_of(text)[-10:])
