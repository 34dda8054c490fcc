import site
from pathlib import Path

import pytest

from deployments.local import computer_checks
from deployments.local.checks import examine
from deployments.local.layout import Layout, make_folders
from deployments.local.ports import free_port
from deployments.local.preparation import check_own_prefect, check_ports
from deployments.local.secret_files import ensure_secrets
from kowai.errors import CannotStart
from kowai.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(port=free_port(), prefect_port=free_port())  # pyright: ignore[reportCallIssue]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    make_folders(Layout(tmp_path))
    ensure_secrets(tmp_path / "secrets", database_exists=False)
    return Layout(tmp_path)


def test_a_healthy_computer_fails_nothing_and_hears_that_kowai_does_not_run(place: Layout, settings: Settings) -> None:
    findings = list(examine(place, settings))
    assert not [finding for finding in findings if finding.level == "fail"]
    assert findings[-1].fix == "kowai up"


def test_the_doctor_changes_nothing(tmp_path: Path, settings: Settings) -> None:
    list(examine(Layout(tmp_path / "state"), settings))
    assert not list(tmp_path.iterdir())


def test_a_secret_that_others_can_read_fails_with_the_command_that_mends_it(place: Layout) -> None:
    (place.secrets / "api-key").chmod(0o644)
    (finding,) = computer_checks.check_secrets(place)
    assert (finding.level, finding.fix) == ("fail", f"chmod 600 {place.secrets / 'api-key'}")


def test_weights_as_installed_are_fine() -> None:
    assert computer_checks.check_weights().level == "ok"


def test_altered_weights_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"altered")
    assert computer_checks.check_weights().level == "fail"


@pytest.mark.parametrize(
    ("content", "level"),
    [
        ("import os; os.system('curl evil')\n", "fail"),
        ("/some/folder\n", "warn"),
        ("import _virtualenv\n", "warn"),
    ],
)
def test_startup_files_that_nobody_owns_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, level: str
) -> None:
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path)])
    (tmp_path / "odd.pth").write_text(content)
    (finding,) = computer_checks.check_startup_files()
    assert finding.level == level
    assert "odd.pth" in finding.sentence


def test_a_nearly_full_disk_fails(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer_checks, "TOO_LOW_BYTES", 10**18)
    assert computer_checks.check_disk(place).level == "fail"


def test_two_doors_cannot_share_a_port() -> None:
    with pytest.raises(CannotStart, match="are both 5000"):
        check_ports(Settings(port=5000, prefect_port=5000))  # pyright: ignore[reportCallIssue]


def test_a_prefect_server_of_the_users_that_is_away_is_named(
    place: Layout, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    with pytest.raises(CannotStart, match=rf"Nobody answers at PREFECT_API_URL={address}"):
        check_own_prefect(place, settings)
