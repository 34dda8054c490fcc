"""Personal data is found by its form and its check digits, masked with one mask a value, and restored as it was."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.masking import MASK, Masking, Restoring
from kowai.personal.detection import detect

SETS = Path(os.environ.get("KOWAI_DATA", Path(__file__).parents[3] / "shared" / "data")) / "pii"
KINDS = {
    "EMAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "CARD": "CREDIT_CARD",
    "IBAN": "IBAN_CODE",
    "IP": "IP_ADDRESS",
    "NATIONAL_ID": "US_SSN",
}


def kinds(text: str) -> list[tuple[str, str]]:
    return [(found.kind, text[found.start : found.end]) for found in detect(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Write to jane.doe+news@mail.example.org, please.", "EMAIL", "jane.doe+news@mail.example.org"),
        ("Bitte überweisen auf DE89 3704 0044 0532 0130 00 bis Montag.", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("Card 4111 1111 1111 1111 expires soon.", "CARD", "4111 1111 1111 1111"),
        ("Amex 3782 822463 10005.", "CARD", "3782 822463 10005"),
        ("The host 192.168.10.25 is down.", "IP", "192.168.10.25"),
        ("Ping 2001:db8::8a2e:370:7334 now", "IP", "2001:db8::8a2e:370:7334"),
        ("SSN 536-22-8726 on file", "NATIONAL_ID", "536-22-8726"),
        ("DNI 12345678Z", "NATIONAL_ID", "12345678Z"),
        ("codice fiscale RSSMRA85T10A562S", "NATIONAL_ID", "RSSMRA85T10A562S"),
        ("Steuer-ID: 86 095 742 719", "NATIONAL_ID", "86 095 742 719"),
        ("CPF 529.982.247-25", "NATIONAL_ID", "529.982.247-25"),
        ("henkilötunnus 131052-308T", "NATIONAL_ID", "131052-308T"),
        ("PESEL 44051401359", "NATIONAL_ID", "44051401359"),
        ("BSN 111222333", "NATIONAL_ID", "111222333"),
        ("Call +49 30 901820 today", "PHONE", "+49 30 901820"),
        ("My mobile is 0151 23456789.", "PHONE", "0151 23456789"),
        ("(415) 555-2671 is the office", "PHONE", "(415) 555-2671"),
        ("key AKIAIOSFODNN7EXAMPLE leaked", "SECRET", "AKIAIOSFODNN7EXAMPLE"),
        ("password: hunter2hunter2!", "SECRET", "hunter2hunter2!"),
        ("postgres://app:s3cr3tpw@db:5432/x", "SECRET", "s3cr3tpw"),
        ("She lives at 221 Baker Street, upstairs.", "ADDRESS", "221 Baker Street"),
        ("Er wohnt in der Lindenstraße 12.", "ADDRESS", "Lindenstraße 12"),
        ("Ask Dr. Martha Jones about it.", "PERSON", "Martha Jones"),
    ],
)
def test_what_names_a_person_or_opens_a_door_is_found(text: str, kind: str, value: str) -> None:
    assert (kind, value) in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "The year 1990-1995 was long, and 2010-03-10 19:00:35 too.",
        "Version 10.2.3 has 1 234 567 downloads at 99.95 %.",
        "Order 4111 1111 1111 1112 fails the check digit.",
        "IBAN DE89 3704 0044 0532 0130 01 fails too.",
        "Invoice 2024-000-123456 is paid; see RFC 2822, page 10, section 3.4.1.",
        "It costs $1,234,567.89 or 12.500.000 euros.",
        "At 12:30:45 the ratio was 3:2:1.",
        "The password is required.",
    ],
)
def test_other_numbers_and_words_are_left_alone(text: str) -> None:
    assert kinds(text) == []


def test_one_value_has_one_mask_however_it_is_written() -> None:
    masking = Masking()
    masked = masking.mask("Jane@Example.org wrote to jane@example.org and bob@example.org.")
    assert masked == "<EMAIL_1> wrote to <EMAIL_1> and <EMAIL_2>."
    assert masking.mask("jane@example.org") == "<EMAIL_1>"


def test_a_mask_that_the_text_itself_holds_is_not_given_out_nor_restored() -> None:
    masking = Masking("<EMAIL_1> is a mask")
    masked = masking.mask("<EMAIL_1> is not ann@example.org")
    assert masked == "<EMAIL_1> is not <EMAIL_2>"
    assert masking.restore(masked) == "<EMAIL_1> is not ann@example.org"


PIECES = ["ann@example.org ", "<EMAIL_1> ", "4111111111111111 ", "call +1 415 555 2671 ", "<", "EMAIL_", "tea ", "\n"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_what_was_masked_comes_back_and_holds_nothing_personal(text: str) -> None:
    masking = Masking(text)
    masked = masking.mask(text)
    assert "ann@example.org" not in masked
    assert masking.restore(masked) == text


@given(st.data())
def test_a_reply_in_pieces_is_restored_as_one_in_whole(data: st.DataObject) -> None:
    masking = Masking()
    masking.mask("ann@example.org and bob@example.org")
    words = st.sampled_from(["<EMAIL_1>", "<EMAIL_2>", "<EMAIL_9>", "a < b ", "<B_", " text ", "<<"])
    reply = data.draw(st.lists(words).map("".join))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)))))
    restoring = Restoring(masking)
    pieces = [reply[start:end] for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    said = "".join(restoring.hear(piece) for piece in pieces) + restoring.rest()
    assert said == masking.restore(reply)


@given(st.text(alphabet="0123456789 .-+()x@:/aB", max_size=400))
def test_any_text_is_searched_in_reasonable_time(text: str) -> None:
    found = detect(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)


@pytest.mark.skipif(not SETS.exists(), reason="the shared data (KOWAI_DATA) is absent")
def test_structured_kinds_are_found_in_presidios_sentences() -> None:
    missed = false = hits = 0
    for name in ("train", "small"):
        for line in (SETS / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            found = detect(row["text"])
            for kind, theirs in KINDS.items():
                gold = [span for span in row["spans"] if span["type"] == theirs]
                mine = [each for each in found if each.kind == kind]
                met = [any(m.start <= g["start"] and m.end >= g["end"] for m in mine) for g in gold]
                hits += sum(met)
                missed += len(gold) - sum(met)
                false += sum(not any(m.start < g["end"] and m.end > g["start"] for g in gold) for m in mine)
    assert hits / (hits + missed) >= 0.98
    assert hits / (hits + false) >= 0.95


def test_masks_look_like_masks() -> None:
    assert MASK.fullmatch(Masking().mask("ann@example.org"))
