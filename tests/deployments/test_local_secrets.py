from pathlib import Path

import pytest

from deployments.local.secret_files import ensure_secrets, read_secret, write_secret
from kowai.errors import CannotStart
from kowai.keys import parse_key

NAMES = {"api-key", "prefect-auth", "app-database-password", "token-key"}


def test_the_first_start_makes_every_secret_for_its_owner_only(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, database_exists=False)
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    parse_key(read_secret(tmp_path, "api-key"))


def test_a_second_start_keeps_every_secret(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, database_exists=False)
    before = {name: read_secret(tmp_path, name) for name in NAMES}
    ensure_secrets(tmp_path, database_exists=True)
    assert {name: read_secret(tmp_path, name) for name in NAMES} == before


def test_no_two_states_share_a_secret(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ensure_secrets(tmp_path / name, database_exists=False)
    assert all(read_secret(tmp_path / "one", name) != read_secret(tmp_path / "two", name) for name in NAMES)


def test_a_lost_key_of_an_existing_database_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"api-key is gone.*Nothing was changed"):
        ensure_secrets(tmp_path, database_exists=True)
    assert not list(tmp_path.iterdir())


def test_a_lost_password_that_is_ours_alone_is_made_anew(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, database_exists=False)
    (tmp_path / "app-database-password").unlink()
    ensure_secrets(tmp_path, database_exists=True)
    assert read_secret(tmp_path, "app-database-password")


def test_an_empty_secret_is_named_and_left_alone(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, database_exists=False)
    (tmp_path / "prefect-auth").write_text("")
    with pytest.raises(CannotStart, match=r"prefect-auth is empty"):
        ensure_secrets(tmp_path, database_exists=True)
    assert (tmp_path / "prefect-auth").read_text() == ""


def test_a_secret_that_others_could_read_is_narrowed_and_named(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, database_exists=False)
    (tmp_path / "api-key").chmod(0o644)
    assert ensure_secrets(tmp_path, database_exists=True) == ["api-key"]
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600


def test_writing_a_secret_leaves_no_draft(tmp_path: Path) -> None:
    write_secret(tmp_path / "api-key", "one")
    write_secret(tmp_path / "api-key", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["api-key"]
    assert read_secret(tmp_path, "api-key") == "two"
