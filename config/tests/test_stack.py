"""`make run` as a person and an operator meet it: started, stopped, killed, started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import boto3
import httpx
import psycopg
import pytest
import redis

from config import options
from config.stack.folder import some_free_port
from config.stack.live import READY, LiveStack
from config.stack.orphans import working_in
from config.stack.process import lives, wait_for_ends


@pytest.fixture
def stack(tmp_path):
    """A stack of its own, not started yet, stopped at the end."""
    stack = LiveStack(tmp_path / "data", port=some_free_port())
    yield stack
    stack.stop()


def within(seconds):
    """Return the time that a promise allows where others work on the same cores."""
    return seconds * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))


def serves(stack, seconds):
    """Wait until the web server answers; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{stack.base_url}/healthz", timeout=2).status_code < 500:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False


def remember(stack, word):
    """Leave a word in the database and in the bucket."""
    environment = stack.environment()
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS memory (word text)")
        connection.execute("INSERT INTO memory VALUES (%s)", [word])
    bucket(environment).put_object(Key=f"memory/{word}", Body=word.encode())


def remembered(stack):
    """Return the words that are in the database and in the bucket."""
    environment = stack.environment()
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        words = [word for (word,) in connection.execute("SELECT word FROM memory ORDER BY word")]
    objects = bucket(environment).objects.filter(Prefix="memory/")
    assert words == [item.get()["Body"].read().decode() for item in objects]
    return words


def bucket(environment):
    return boto3.resource(
        "s3",
        endpoint_url=environment["S3_ENDPOINT_URL"],
        region_name=environment["S3_REGION"],
        aws_access_key_id=environment["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["S3_SECRET_ACCESS_KEY"],
    ).Bucket(environment["S3_BUCKET"])


def run_stack(data_dir, port, *, prefix=(), **variables):
    """Run the stack where it should refuse; return its exit status and what it wrote."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "config.stack"],
        cwd=options.BASE_DIR,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), "PORT": str(port), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def one_sentence(text):
    """Return the sentence that is all there is to read."""
    lines = [line for line in text.splitlines() if line.startswith("strata: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_it_starts_from_nothing_stops_on_sigterm_and_keeps_its_data(stack):
    began = time.monotonic()
    stack.start()
    assert time.monotonic() - began < within(20)
    assert stack.output().count(READY) == 1
    assert f"{READY} {stack.base_url}/" in stack.output()
    assert serves(stack, 1)
    remember(stack, "first")
    before = stack.environment()

    running = stack.processes()
    began = time.monotonic()
    assert stack.stop() == 0
    assert time.monotonic() - began < within(10)
    assert not [process for process in running if lives(process)]
    assert not working_in(stack.data_dir)
    assert not list((stack.data_dir / "run").glob("*.pid"))

    # A stranger takes a port meanwhile: that server moves, the others stay.
    with socket.create_server(("127.0.0.1", port_of(before["REDIS_URL"]))):
        stack.start()
    after = stack.environment()
    assert {name for name in before if after[name] != before[name]} == {"REDIS_URL"}
    assert remembered(stack) == ["first"]


def port_of(url):
    return urlsplit(url).port


def test_nothing_survives_a_killed_supervisor_nor_hinders_the_next(stack):
    stack.start()
    remember(stack, "acknowledged")
    running = stack.processes()
    stack.kill("supervisor")
    wait_for_ends(running, 10)
    assert not [process for process in running if lives(process)]
    stack.stop()

    stack.start()
    remember(stack, "twice")
    # Everything at once, but for what then has no parent left to end it.
    orphans = stack.workers()
    assert orphans
    running = stack.processes()
    killed = [process for process in running if process not in orphans]
    for process in killed:
        process.suspend()
    for process in killed:
        process.kill()
    stack.stop()
    assert all(lives(process) for process in orphans)

    stack.start()
    assert not [process for process in running if lives(process)]
    assert "left behind" in stack.output()
    assert remembered(stack) == ["acknowledged", "twice"]


def test_its_env_file_serves_shells_tools_and_manage_py(live_stack):
    file = live_stack.data_dir / "env"
    assert file.stat().st_mode & 0o777 == 0o600
    environment = live_stack.environment()
    wanted = {"DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL", "S3_BUCKET", "SECRET_KEY", "PORT"}
    assert wanted < set(environment)

    names = " ".join(f'"${name}"' for name in environment)
    shown = subprocess.run(
        ["sh", "-c", f"set -a; . {file}; printf '%s\\n' {names}"],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines() == list(environment.values())

    assert redis.Redis.from_url(environment["REDIS_URL"]).ping()
    bucket(environment).put_object(Key="env", Body=b"here")
    shown = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--check"],
        cwd=options.BASE_DIR,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(live_stack.data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr


def test_a_folder_or_a_port_in_use_is_refused(live_stack, tmp_path):
    status, text = run_stack(live_stack.data_dir, some_free_port())
    assert status == 1
    assert "already runs on" in one_sentence(text)
    assert str(live_stack.pid("supervisor")) in one_sentence(text)
    status, text = run_stack(tmp_path / "other", live_stack.port)
    assert status == 1
    assert f"Port {live_stack.port} on 127.0.0.1 is in use" in one_sentence(text)
    assert serves(live_stack, 1)


def test_whatever_dies_comes_back(live_stack):
    remember(live_stack, "kept")
    for name in ("web", "valkey", "postgres", "s3", "worker", "beat", "sweeper"):
        killed = live_stack.family(name)[0]
        live_stack.kill(name)
        # One that was just killed may still be dying.
        wait_for_ends([killed], 5)
        assert serves(live_stack, 15), name
        assert live_stack.pid(name) != killed.pid
    # The web server's workers, without their parent.
    for process in live_stack.workers():
        process.kill()
    assert serves(live_stack, 15)

    deadline = time.monotonic() + 20
    back = {f"{name} serves again" for name in ("postgres", "valkey", "s3")}
    while (missing := {one for one in back if one not in live_stack.output()}) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert not missing
    assert remembered(live_stack) == ["kept"]


def test_two_run_side_by_side_and_a_second_ctrl_c_is_at_once(live_stack, stack):
    stack.start()
    ours, theirs = stack.environment(), live_stack.environment()
    for name in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL", "SECRET_KEY", "PORT"):
        assert ours[name] != theirs[name]

    running = stack.processes()
    # Would hold up an orderly stop for all of its grace.
    for process in stack.family("worker"):
        process.suspend()
    os.kill(stack.pid("supervisor"), signal.SIGINT)
    time.sleep(0.7)
    began = time.monotonic()
    os.kill(stack.pid("supervisor"), signal.SIGINT)
    wait_for_ends(running, 5)
    assert time.monotonic() - began < within(1.5)
    assert not [process for process in running if lives(process)]

    assert serves(live_stack, 1)
    assert all(lives(process) for process in live_stack.processes())


def test_servers_from_outside_are_used_and_left_alone(servers, tmp_path):
    stack = LiveStack(tmp_path / "data", some_free_port(), servers.environment())
    with stack:
        parts = {file.stem for file in (stack.data_dir / "run").glob("*.pid")}
        assert parts.isdisjoint({"postgres", "valkey", "s3"})
        assert stack.environment()["DATABASE_URL"] == servers.environment()["DATABASE_URL"]
        assert serves(stack, 1)
    servers.postgres.probe()
    servers.valkey.probe()
    servers.s3.probe()
