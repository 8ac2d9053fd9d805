"""The servers' handles: what fault tests do to PostgreSQL and Valkey, and what must survive it."""

import os
import shutil
import subprocess
import sys

import psycopg
import pytest
import redis

from config import options
from config.stack.servers import LocalServers
from config.tests.test_refusals import as_nobody

CLI = shutil.which("valkey-cli") or shutil.which("redis-cli")


@pytest.mark.skipif(CLI is None, reason="for who has valkey-cli or redis-cli")
def test_the_cache_s_address_is_one_for_the_command_line_too(servers):
    # Without a user's name in it these send an empty one, which the server refuses.
    assert CLI is not None
    url = servers.environment()["REDIS_URL"]
    done = subprocess.run(
        [CLI, "--no-auth-warning", "-u", url, "ping"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("PONG\n", "")


def test_it_stops_kills_pauses_and_starts_each_server(open_folder):
    servers = LocalServers(open_folder / "data", ["postgres", "valkey"])
    environment = servers.start()
    try:
        assert set(environment) == {"DATABASE_URL", "REDIS_URL"}
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        for end in (servers.postgres.kill, servers.postgres.stop):
            end()
            assert not servers.postgres.running
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(environment["DATABASE_URL"])
            servers.postgres.start()
            with psycopg.connect(environment["DATABASE_URL"]) as connection:
                assert connection.execute("SELECT one FROM kept").fetchone() == (1,)

        client = redis.Redis.from_url(environment["REDIS_URL"], socket_timeout=0.2)
        client.set("here", "yes")
        servers.valkey.pause()
        with pytest.raises(redis.TimeoutError):
            client.get("here")
        servers.valkey.resume()
        assert client.get("here") == b"yes"
        servers.valkey.kill()
        servers.valkey.start()
        # Nothing that it holds is kept: all of it can be rebuilt.
        assert client.get("here") is None
    finally:
        servers.stop()


def test_durability_is_on(servers):
    with psycopg.connect(servers.postgres.url("postgres")) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            shown = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert shown == ("on",), name


def test_it_works_below_a_folder_that_only_we_may_enter(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    servers = LocalServers(closed / "data", ["postgres"])
    try:
        servers.start()
        with psycopg.connect(servers.postgres.url("strata")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        servers.stop()
    assert closed.stat().st_mode & 0o777 == 0o700


def test_it_works_as_an_ordinary_user(open_folder):
    prefix = as_nobody()
    open_folder.chmod(0o777)
    code = (
        "import pathlib, sys; from config.stack.servers import LocalServers\n"
        "servers = LocalServers(pathlib.Path(sys.argv[1])); servers.start(); servers.stop()\n"
        "print('fine')"
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, str(open_folder / "data")],
        cwd=options.BASE_DIR,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "fine\n", done.stderr


def test_its_processes_end_with_the_one_that_started_them(open_folder):
    code = (
        "import os, pathlib, signal, sys; from config.stack.servers import LocalServers\n"
        "servers = LocalServers(pathlib.Path(sys.argv[1]), ['postgres', 'valkey'])\n"
        "servers.start(); print('up', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(open_folder / "data")],
        cwd=options.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "up\n"
    # The folder is free again at once, whatever of them is still on its way out.
    servers = LocalServers(open_folder / "data", ["postgres", "valkey"])
    try:
        servers.start()
    finally:
        servers.stop()
