import base64
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.local import environment
from deployments.local.layout import Layout, make_folders
from deployments.local.secret_files import ensure_secrets, read_secret, write_secret
from deployments.local.stack import children
from kowai.settings import Settings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "KOWAI_APP_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    place = Layout(tmp_path)
    make_folders(place)
    ensure_secrets(place.secrets, database_exists=False)
    write_secret(place.secrets / "app-database-url", "postgresql://kowai_app:secret@/kowai")
    return place


def settings(**values: object) -> Settings:
    return Settings(**values)  # pyright: ignore[reportArgumentType]


def test_the_applications_processes_never_see_the_owners_url(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_DATABASE_URL", "postgresql://owner:tr0ub4dor@db/kowai")
    found = environment.application(place, settings())
    assert found["KOWAI_APP_DATABASE_URL"] == "postgresql://kowai_app:secret@/kowai"
    assert not any("tr0ub4dor" in value for value in found.values())
    assert environment.owner(place, settings(), "postgresql://o@/k")["KOWAI_DATABASE_URL"] == "postgresql://o@/k"


def test_an_application_url_exported_for_the_embedded_database_means_nothing(place: Layout) -> None:
    exported = settings(app_database_url="postgresql://kowai_app:old@/kowai")
    assert "secret" in environment.application(place, exported)["KOWAI_APP_DATABASE_URL"]
    own = settings(app_database_url="postgresql://kowai_app:old@/kowai", database_url="postgresql://o@db/kowai")
    assert "old" in environment.application(place, own)["KOWAI_APP_DATABASE_URL"]


def test_clients_know_the_embedded_prefect_server_and_its_password(place: Layout) -> None:
    auth = read_secret(place.secrets, "prefect-auth")
    client = environment.application(place, settings(prefect_port=4321))
    server = environment.prefect_server(place, settings(prefect_port=4321))
    assert client["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert client["PREFECT_API_AUTH_STRING"] == server["PREFECT_SERVER_API_AUTH_STRING"] == auth
    assert "PREFECT_SERVER_API_AUTH_STRING" not in client
    assert Path(server["PREFECT_HOME"]) == place.root / "prefect"


def test_a_cloud_profile_of_the_user_does_not_reach_the_embedded_server(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    monkeypatch.setenv("PREFECT_PROFILE", "cloud")
    found = environment.application(place, settings())
    assert "PREFECT_API_KEY" not in found
    assert "PREFECT_PROFILE" not in found


def test_the_users_own_prefect_server_is_used_with_the_users_own_credentials(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example/api")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    assert environment.application(place, settings())["PREFECT_API_URL"] == "https://prefect.example/api"
    assert environment.prefect_headers(place, settings()) == {"Authorization": "Bearer pnu_secret"}
    assert "prefect" not in {child.name for child in children(place, settings())}


def test_an_exported_url_of_our_own_server_does_not_make_it_the_users(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://localhost:4200/api/")
    assert environment.own_prefect(settings()) is None
    secret = base64.b64encode(read_secret(place.secrets, "prefect-auth").encode()).decode()
    assert environment.prefect_headers(place, settings()) == {"Authorization": f"Basic {secret}"}


def test_the_users_own_database_replaces_the_embedded_one(place: Layout) -> None:
    own = settings(state=place.root, database_url="postgresql://owner@db/kowai")
    assert [child.name for child in children(place, own)] == ["model", "schema", "prefect", "worker", "shim"]


def test_everything_embedded_starts_in_this_order_and_the_model_is_built_once(place: Layout) -> None:
    embedded = settings(state=place.root)
    order = ["initdb", "postgres", "schema", "prefect", "worker", "shim"]
    assert [child.name for child in children(place, embedded)] == ["model", *order]
    embedded.models.mkdir()
    assert [child.name for child in children(place, embedded)] == order


def test_a_proxy_of_the_user_is_not_asked_for_this_computer(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "internal.example")
    found = environment.application(place, settings())
    assert found["NO_PROXY"] == found["no_proxy"] == "internal.example,127.0.0.1,localhost"


def test_variables_of_another_postgres_do_not_bend_the_way_to_the_embedded_one(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    assert "PGPORT" not in environment.application(place, settings())
    own = settings(database_url="postgresql://owner@db/kowai")
    assert environment.application(place, own)["PGPORT"] == "6543"


def test_nobody_is_told_about_our_users(place: Layout) -> None:
    found = environment.prefect_server(place, settings())
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["DO_NOT_TRACK"] == "1"


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:8100"), ("::1", "http://[::1]:8100")])
def test_the_address_shown_is_one_that_this_computer_reaches(host: str, url: str) -> None:
    assert environment.shim_url(settings(host=host, port=8100)) == url


def test_the_embedded_prefect_server_forgets_old_runs_and_writes_many_task_runs_at_once_unless_told_otherwise(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings as PrefectSettings

    for name, value in environment.prefect_server(place, settings()).items():
        if name.startswith("PREFECT_SERVER_"):
            monkeypatch.setenv(name, value)
    server = PrefectSettings().server
    assert server.services.db_vacuum.enabled_vacuum_types == {"events", "flow_runs", "orphans"}
    assert server.services.db_vacuum.retention_period == timedelta(days=30)
    assert server.events.retention_period == timedelta(days=7)
    assert (server.services.task_run_recorder.batch_size, server.services.task_run_recorder.flush_interval) == (100, 1)
    assert server.services.event_persister.batch_size == 100
    monkeypatch.setenv("PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD", "864000")
    told = environment.prefect_server(place, settings())
    assert told["PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"] == "864000"


def test_processes_keep_few_heaps_unless_the_user_wants_more(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert environment.application(place, settings())["MALLOC_ARENA_MAX"] == "2"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    assert environment.application(place, settings())["MALLOC_ARENA_MAX"] == "8"
