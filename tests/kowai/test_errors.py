"""Errors say what they are to programs and people, and survive a process boundary."""

import pickle

import pytest

from kowai.errors import KowaiError


def tree(kind: type[KowaiError]) -> list[type[KowaiError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


@pytest.mark.parametrize("kind", tree(KowaiError), ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_with_both_its_sentences(kind: type[KowaiError]) -> None:
    error = pickle.loads(pickle.dumps(kind("For the user.", operator="for the operator")))
    assert type(error) is kind
    assert (error.sentence, error.operator) == ("For the user.", "for the operator")


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in tree(KowaiError)]
    assert len(set(codes)) == len(codes)
