from pathlib import Path

import pytest

from deployments.local.layout import Layout, configured, make_folders
from kowai.errors import CannotStart
from kowai.settings import settings


def test_a_new_state_directory_is_private(tmp_path: Path) -> None:
    place = Layout(tmp_path / "deep" / "state")
    make_folders(place)
    assert place.root.stat().st_mode & 0o777 == 0o700
    assert place.secrets.stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_opened_up_is_closed_again_where_secrets_lie(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    make_folders(place)
    place.secrets.chmod(0o755)
    make_folders(place)
    assert place.secrets.stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_cannot_be_made_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"file.* cannot be written .*KOWAI_STATE="):
        make_folders(Layout(tmp_path / "file"))


def test_a_port_that_is_no_number_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_PORT", "eighty")
    settings.cache_clear()
    with pytest.raises(CannotStart, match="KOWAI_PORT"):
        configured()
    settings.cache_clear()
