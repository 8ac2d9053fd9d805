"""Who has no key gets nothing from the ports, sockets and files of a running stack."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import psutil
import pytest
import redis

from config.stack.output import LARGEST_FILE, LONGEST_LINE, OLDER_FILES, Output

STRANGER = Path(__file__).with_name("stranger.py")
# Nobody's, and so not PostgreSQL's either, which may run as `nobody`.
UID = 54321
KEY = "doors/a-key-of-its-own"
CONTENT = "what is written here is nobody else's"


@pytest.fixture(scope="module")
def doors(live_stack):
    """Every port and socket on which a process of the stack listens, and every file."""
    ports, sockets = set(), set()
    for process in live_stack.processes():
        for one in process.net_connections("all"):
            if one.status == psutil.CONN_LISTEN:
                ports.add((one.laddr.ip, one.laddr.port))
            elif isinstance(one.laddr, str) and one.laddr.startswith("/"):
                sockets.add(one.laddr)
    files = [str(path) for path in live_stack.data_dir.rglob("*")]
    return {"ports": sorted(ports), "sockets": sorted(sockets), "files": files}


@pytest.fixture(scope="module")
def bucket(live_stack):
    """The stack's bucket, with one object, opened with its keys."""
    environment = live_stack.environment()
    bucket = boto3.resource(
        "s3",
        endpoint_url=environment["S3_ENDPOINT_URL"],
        region_name=environment["S3_REGION"],
        aws_access_key_id=environment["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["S3_SECRET_ACCESS_KEY"],
    ).Bucket(environment["S3_BUCKET"])
    bucket.put_object(Key=KEY, Body=CONTENT.encode())
    return bucket


@pytest.fixture(scope="module")
def cache(live_stack):
    with redis.Redis.from_url(live_stack.environment()["REDIS_URL"]) as client:
        client.set("doors", "kept")
        yield client


@pytest.fixture(scope="module")
def found(live_stack, doors, bucket, cache):
    """What a stranger gets from all of them."""
    done = subprocess.run(
        [sys.executable, "-I", str(STRANGER), str(UID)],
        input=json.dumps({**doors, "bucket": bucket.name, "key": KEY}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kept_behind(live_stack, found):
    """Return the answers of all ports but the one that is meant for everybody."""
    web = f"127.0.0.1:{live_stack.port}"
    return [answer for answer in found["answers"] if answer[0] != web]


def test_all_that_listens_was_asked(live_stack, doors):
    known = json.loads((live_stack.data_dir / "ports.json").read_text(encoding="utf-8"))
    assert {*known.values(), live_stack.port} <= {port for _, port in doors["ports"]}
    assert len(known) == 10
    # Nothing is open to other machines.
    assert {host for host, _ in doors["ports"]} <= {"127.0.0.1", "::1"}


def test_no_port_gives_content_or_a_list(found):
    told = [
        answer[:3]
        for answer in found["answers"]
        # A refusal repeats the path that it was asked for.
        if CONTENT in answer[3] or (KEY in answer[3] and KEY not in answer[1])
    ]
    assert not told


def test_no_port_says_yes_to_anything(live_stack, found):
    said_yes = [
        answer[:3]
        for answer in kept_behind(live_stack, found)
        # Whether it is well, with an empty body, the S3 port says to everybody.
        if re.match(r"HTTP/\S+ [23]", answer[3]) and answer[1] != "GET /status"
    ]
    assert not said_yes
    well = [answer[3] for answer in kept_behind(live_stack, found) if answer[1] == "GET /status"]
    assert all(text.endswith("\r\n\r\n") for text in well if re.match(r"HTTP/\S+ [23]", text))


def test_inner_ports_end_at_the_handshake(live_stack, found):
    known = json.loads((live_stack.data_dir / "ports.json").read_text(encoding="utf-8"))
    inner = {f"127.0.0.1:{port}" for name, port in known.items() if name.startswith("s3-")}
    assert len(inner) == 7
    got = {
        (answer[2], answer[3])
        for answer in found["answers"]
        if answer[0] in inner and not answer[3].startswith("refused: ")
    }
    # In clear the inner HTTP ports say no more than that they speak TLS.
    assert {text for way, text in got if way == "tls"} <= {""}
    for text in (text for way, text in got if way == "clear"):
        assert text.startswith("HTTP/1.0 400 ") or not text.isprintable() or not text, text


def test_no_page_of_another_origin_may_read_objects(live_stack, found):
    open_to_pages = [
        answer[:3]
        for answer in kept_behind(live_stack, found)
        if re.search(r"(?im)^access-control-allow-origin: *(\*|http://evil)", answer[3])
        # Answers that name no bucket: its health, what it does not do, and the refusal of its root.
        and not re.match(r"HTTP/\S+ 405", answer[3])
        and not re.match(r"GET /(status|\?.*)?$", answer[1])
    ]
    assert not open_to_pages


def test_database_and_cache_ask_for_a_password(live_stack, found):
    known = json.loads((live_stack.data_dir / "ports.json").read_text(encoding="utf-8"))
    of = {(answer[0], answer[1]): answer[3] for answer in found["answers"] if answer[2] == "clear"}
    cache = of[f"127.0.0.1:{known['valkey']}", "Valkey"]
    assert cache.count("-NOAUTH") == 6
    assert "+OK" not in cache
    # AuthenticationSASL, the request for a password, and not AuthenticationOk.
    database = of[f"127.0.0.1:{known['postgres']}", "PostgreSQL"]
    assert database.startswith("R\0\0\0")
    assert "SCRAM-SHA-256" in database


def test_nothing_was_written_or_deleted(found, bucket, cache):
    assert bucket.Object(KEY).get()["Body"].read().decode() == CONTENT
    assert [one.key for one in bucket.objects.filter(Prefix="doors/")] == [KEY]
    assert cache.get("doors") == b"kept"
    assert cache.get("strata-stranger") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_socket_and_no_file_is_open_to_another_user(live_stack, doors, found):
    assert doors["sockets"]
    assert doors["files"]
    entered = [a for a in found["answers"] if a[2] == "socket" and not a[3].startswith("refused")]
    assert not entered
    assert found["readable"] == []


def test_files_are_ours_alone(live_stack):
    open_to_others = [
        str(path)
        for path in live_stack.data_dir.iterdir()
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert not open_to_others
    # Where we are root PostgreSQL runs as another user, who has to pass through.
    passable = 0o711 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE(live_stack.data_dir.stat().st_mode) == passable


def test_what_was_logged_is_not_rotated_away_by_a_few_long_lines(tmp_path):
    output = Output(tmp_path)
    output.line("initdb", "who came in first")
    # As much as fills eight files, in lines that are each far longer than one may be.
    for _ in range(8 * LARGEST_FILE // LONGEST_LINE):
        output.line("initdb", "x" * 10 * LONGEST_LINE)
    files = sorted(tmp_path.iterdir())
    assert len(files) <= OLDER_FILES + 1
    assert any("who came in first" in file.read_text(encoding="utf-8") for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert max(file.stat().st_size for file in files) <= LARGEST_FILE + LONGEST_LINE + 1
    for _ in range(3 * LARGEST_FILE // LONGEST_LINE):
        output.line("initdb", "x" * LONGEST_LINE)
    assert len(list(tmp_path.iterdir())) == OLDER_FILES + 1
