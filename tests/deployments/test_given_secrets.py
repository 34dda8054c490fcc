"""KowAI starts with no secret that everybody knows or that can be guessed."""

import pytest

from deployments.local.given_secrets import check_given_secrets
from deployments.local.layout import Layout
from deployments.local.preparation import prepare
from kowai.errors import CannotStart
from kowai.settings import Settings

GOOD = "nHq3-Rv8w-Tz5k-Lp2x"
KEY = "Zk1p9vQ3xT7bW2mR8cY5hL0dN4sF6gJ-"
OWN_PREFECT = {"PREFECT_API_URL": "http://prefect.example:4200/api"}


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)


def chosen(**values: str) -> Settings:
    return Settings(**values)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("password", "because"),
    [
        ("", "is empty"),
        ("postgres", "everybody knows"),
        ("password", "everybody knows"),
        ("Password123!", "everybody knows"),
        ("mysecretpassword", "everybody knows"),
        ("change-me", "everybody knows"),
        ("changethis", "everybody knows"),
        ("kowai", "everybody knows"),
        ("admin-admin-admin", "everybody knows"),
        ("tr0ub4dor", "9 characters long"),
        ("xyxyxyxyxyxyxyxyxy", "repeats"),
    ],
)
@pytest.mark.parametrize("variable", ["database_url", "app_database_url"])
def test_a_weak_database_password_is_refused_in_a_sentence(variable: str, password: str, because: str) -> None:
    with pytest.raises(CannotStart, match=because) as refused:
        check_given_secrets(chosen(**{variable: f"postgresql://me:{password}@db.example/kowai"}))
    assert f"KOWAI_{variable.upper()}" in refused.value.sentence
    assert f":{password}@" not in refused.value.sentence


@pytest.mark.parametrize("key", ["", "short", "secret", "your-secret-key", "supersecretkey", "a" * 64, "x1" * 20])
def test_a_weak_token_key_is_refused(key: str) -> None:
    with pytest.raises(CannotStart, match="KOWAI_TOKEN_KEY"):
        check_given_secrets(chosen(token_key=key))


@pytest.mark.parametrize("auth", ["admin:", "admin:pass", "admin:admin", "prefect:prefect", "admin:short1"])
def test_a_weak_password_of_ones_own_prefect_is_refused(monkeypatch: pytest.MonkeyPatch, auth: str) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", auth)
    check_given_secrets(chosen())  # the embedded server has its own
    monkeypatch.setenv("PREFECT_API_URL", OWN_PREFECT["PREFECT_API_URL"])
    with pytest.raises(CannotStart, match="PREFECT_API_AUTH_STRING"):
        check_given_secrets(chosen())


def test_secrets_that_are_some_are_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", OWN_PREFECT["PREFECT_API_URL"])
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"admin:{GOOD}")
    owner, application = f"postgresql://me:{GOOD}@db/kowai", f"postgresql://kowai_app:{GOOD}x@db/kowai"
    check_given_secrets(chosen(database_url=owner, app_database_url=application, token_key=KEY))
    check_given_secrets(chosen(database_url="postgresql:///kowai?host=/run/postgresql"))


def test_each_weak_secret_gets_its_sentence_and_nothing_is_touched(tmp_path: object) -> None:
    weak = chosen(database_url="postgresql://me:postgres@db/kowai", token_key="secret")
    place = Layout(tmp_path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(CannotStart) as refused:
        prepare(place, weak, print)
    assert refused.value.sentence.count("everybody knows") == 2
    assert not list(place.root.iterdir())
