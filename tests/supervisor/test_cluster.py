"""The embedded PostgreSQL, for real: made, killed, restarted, left behind, stopped."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from smartmaint.supervisor.errors import StartRefusedError
from smartmaint.supervisor.postgres import THROWAWAY_TUNING, Cluster
from smartmaint.supervisor.processes import Watch
from smartmaint.supervisor.sockets import LONGEST_SOCKET_PATH, SOCKET_NAME

# Quick to make, and yet what is committed survives the death of the server, if not of the machine.
TUNING = {**THROWAWAY_TUNING, "synchronous_commit": "on"}


def make_cluster(folder: Path) -> Cluster:
    return Cluster(folder=folder / "postgres", log_path=folder / "postgres.log", tuning=TUNING)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = make_cluster(tmp_path)
    cluster.start()
    yield cluster
    cluster.stop()


def run_sql(cluster: Cluster, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(cluster.url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def wait_until_answering(cluster: Cluster) -> None:
    deadline = time.monotonic() + 10
    while not cluster.is_answering():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_products_role_owns_its_database_but_is_no_superuser(cluster: Cluster):
    rows = run_sql(
        cluster,
        "SELECT rolname, current_database(), rolsuper, rolcreatedb"
        " FROM pg_roles WHERE rolname = current_user",
    )
    assert rows == [("smartmaint", "smartmaint", False, True)]


def test_the_products_role_can_create_the_extension_that_bookings_need(cluster: Cluster):
    run_sql(cluster, "CREATE EXTENSION btree_gist")
    assert run_sql(cluster, "SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'") == [(1,)]


def test_letters_beyond_ascii_have_upper_and_lower_case(cluster: Cluster):
    assert run_sql(cluster, "SELECT upper('pömpe'), 'Ä' ILIKE 'ä'") == [("PÖMPE", True)]


def test_the_server_listens_on_its_socket_only(cluster: Cluster):
    assert run_sql(cluster, "SHOW listen_addresses") == [("",)]
    assert cluster.socket_folder is not None
    assert cluster.socket_folder.stat().st_mode & 0o777 == 0o700


def test_a_killed_server_is_started_again_and_keeps_what_was_committed(cluster: Cluster):
    run_sql(cluster, "CREATE TABLE kept AS SELECT 7 AS number")
    watch = Watch(cluster, first_delay_seconds=0.1)
    cluster.process.kill()
    cluster.process.wait()
    now = time.monotonic()

    assert watch.look(now) == "database died; it is started again in 0.1 s"
    assert watch.look(now + 0.05) is None
    assert watch.look(now + 0.2) == "database is started again"

    wait_until_answering(cluster)
    assert run_sql(cluster, "SELECT number FROM kept") == [(7,)]


def test_a_server_left_by_a_killed_supervisor_is_ended_and_its_data_taken_over(
    cluster: Cluster, tmp_path: Path
):
    run_sql(cluster, "CREATE TABLE kept AS SELECT 7 AS number")
    left_behind = psutil.Process(cluster.process.pid)

    successor = make_cluster(tmp_path)
    successor.start()

    try:
        assert not left_behind.is_running() or left_behind.status() == psutil.STATUS_ZOMBIE
        assert run_sql(successor, "SELECT number FROM kept") == [(7,)]
    finally:
        successor.stop()


def test_a_stale_pid_file_with_the_number_of_a_living_process_does_not_stop_the_start(
    cluster: Cluster, tmp_path: Path
):
    pid_file = cluster.folder / "postmaster.pid"
    content = pid_file.read_text()
    cluster.stop()
    pid_file.write_text(content.replace(content.split("\n")[0], str(os.getpid()), 1))

    cluster.start()

    assert cluster.is_answering()


def test_stopping_leaves_no_process_and_no_socket(cluster: Cluster):
    backends = psutil.Process(cluster.process.pid).children(recursive=True)
    socket_folder = cluster.socket_folder
    cluster.stop()
    assert not cluster.is_alive()
    assert [process for process in backends if process.is_running()] == []
    assert not socket_folder.exists()


def test_a_folder_as_deep_as_you_like_still_has_a_short_socket_path(tmp_path: Path):
    cluster = make_cluster(tmp_path / ("deep " * 20) / "Größe" / ("x" * 60))
    cluster.folder.parent.mkdir(parents=True)
    cluster.start()
    try:
        assert len(os.fsencode(cluster.socket_folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH
        assert run_sql(cluster, "SELECT 1") == [(1,)]
        far_away = cluster.socket_folder
        successor = Cluster(folder=cluster.folder, log_path=cluster.log_path, tuning=TUNING)
        successor.stop()
        assert not far_away.exists()
    finally:
        cluster.stop()


def test_data_of_another_postgresql_version_is_refused_in_one_line(tmp_path: Path):
    cluster = make_cluster(tmp_path)
    cluster.folder.mkdir()
    (cluster.folder / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(StartRefusedError, match=r"was written by PostgreSQL 9\.6, installed is \d+: dump"):
        cluster.start()


def test_a_server_that_cannot_start_tells_its_own_reason(tmp_path: Path):
    cluster = Cluster(
        folder=tmp_path / "postgres", log_path=tmp_path / "postgres.log", tuning={"shared_buffers": "many"}
    )
    with pytest.raises(StartRefusedError, match=r"invalid value for parameter \"shared_buffers\": \"many\""):
        cluster.start()


def test_an_interrupted_initdb_is_begun_anew(tmp_path: Path):
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    cluster = make_cluster(tmp_path)
    cluster.start()
    cluster.stop()
    assert not unfinished.exists()


def test_a_server_that_ignores_the_fast_stop_is_stopped_all_the_same(cluster: Cluster, monkeypatch):
    monkeypatch.setattr("smartmaint.supervisor.postgres.FAST_STOP_SECONDS", 0.1)
    monkeypatch.setattr("smartmaint.supervisor.postgres.IMMEDIATE_STOP_SECONDS", 0.1)
    cluster.process.send_signal(signal.SIGSTOP)
    cluster.stop()
    assert not cluster.is_alive()
