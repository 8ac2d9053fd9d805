"""A whole stack's logs: JSON where that is asked for, joined by ids, and nobody's secrets."""

import json
import re
import subprocess
import sys
import time

import httpx
import psycopg
import pytest
import yaml

from config import options
from config.stack.folder import some_free_port
from config.stack.live import LiveStack

OURS = ("web", "worker", "beat", "sweeper")
TEXT, TOKEN, PASSWORD, CURSOR, COOKIE = (
    "sekrit-text-1", "sekrit-token-2", "sekrit-password-3", "sekrit-cursor-4", "sekrit-cookie-5"
)  # fmt: skip
SOME_ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
DOCUMENT = yaml.safe_load((options.BASE_DIR / "docs" / "openapi.yaml").read_text())
# Every path of the API, and what is no part of it.
NAMES = [re.sub(r"\{\w+\}", SOME_ID, path[1:]) for path in DOCUMENT["paths"]]
NAMES += ["nowhere", "docs/", "admin/", "admin/login/", "browse/login/", "users/x/"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    folder.chmod(0o711)
    for parent in folder.parents[:2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    settings = {
        "LOG_FORMAT": "json", "ACCESS_LOG": "all", "SLOW_QUERY_MS": "1", "SLOW_REQUEST_MS": "1",
        "TRUST_REQUEST_ID": "true", "LOG_LEVEL": "DEBUG",
    }  # fmt: skip
    with LiveStack(folder / "data", some_free_port(), settings) as running:
        yield running


@pytest.fixture(scope="module")
def people(stack):
    """Return two clients that may talk to each other, whose token is whatever it is."""
    found = []
    for name in ("ann", "ben"):
        with httpx.Client(base_url=stack.base_url, timeout=20) as client:
            answer = client.post(
                "/register", json={"username": name, "password": f"{PASSWORD}-{name}"}
            ).json()
        found.append(answer)
    return found


def kept(stack, name):
    text = ""
    for path in sorted((stack.data_dir / "log").glob(f"{name}.log*"), reverse=True):
        text += path.read_text(encoding="utf-8", errors="replace")
    return text


def parsed(stack, name):
    return [json.loads(line) for line in kept(stack, name).splitlines()]


def until(found, seconds=90):
    """Return what is found, once there is something; a line takes a moment to be written."""
    deadline = time.monotonic() + seconds
    while not (answer := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer
    return answer


def test_secrets_sent_on_every_route_are_in_no_log(stack, people):
    ann, ben = people
    secrets = {
        "text": TEXT, "password": PASSWORD, "cursor": CURSOR, "client_id": TEXT, "name": TEXT,
        "username": PASSWORD + "!", "user_id": TEXT, "recipient_id": TEXT, "group_id": TEXT,
        "role": TEXT, "csrfmiddlewaretoken": TOKEN,
    }  # fmt: skip
    # A connection each: the server closes one whose request it has not read to the end.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=stack.base_url, timeout=20, limits=limits) as client:
        tokens = [None, ann["token"], TOKEN]
        for token in tokens:
            headers = {"Cookie": f"sessionid={COOKIE}; csrftoken={COOKIE}"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            for name in NAMES:
                path = f"/{name}?cursor={CURSOR}&token={TOKEN}&before={TEXT}"
                for method in ("GET", "PUT", "DELETE"):
                    client.request(method, path, headers=headers)
                if name != "logout":
                    client.post(path, headers=headers, json=secrets)
                    client.post(path, headers=headers, data=secrets)
                    client.post(path, headers=headers | {"Content-Type": "application/json"}, content=f'{{"text": "{TEXT}')  # fmt: skip
        mine = {"Authorization": f"Bearer {ann['token']}"}
        sent = client.post(
            "/send_message", headers=mine, json={"recipient_id": ben["user_id"], "text": TEXT}
        )
        assert sent.status_code == 201
        for text in (TEXT * 1000, f"{TEXT}\0", f"{TEXT}\ud800"):
            body = json.dumps({"recipient_id": ben["user_id"], "text": text})
            client.post("/send_message", headers=mine | {"Content-Type": "application/json"}, content=body)  # fmt: skip
        poll = client.post("/get_messages", headers=mine, json={}).json()
        polled = client.post("/get_messages", headers=mine, json={"cursor": poll["cursor"]})
        assert polled.status_code == 200
        assert client.post("/login", json={"username": "ann", "password": PASSWORD + "x"}).status_code == 401  # fmt: skip
    # What the database refuses, and what took it long: in its own log as well.
    with psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as database:
        database.execute("SELECT pg_sleep(0.01), %s::text", (TEXT,))
        database.execute(
            "UPDATE accounts_user SET display_name = %s WHERE username = 'ann'", (TEXT,)
        )
        twice = "INSERT INTO accounts_user SELECT * FROM accounts_user WHERE display_name = %s"
        with pytest.raises(psycopg.IntegrityError, match=r"DETAIL"):
            database.execute(twice, (TEXT,))
    written = {
        path.name: path.read_text(encoding="utf-8", errors="replace")
        for path in (stack.data_dir / "log").iterdir()
    } | {"terminal": stack.output()}
    for name, text in written.items():
        for secret in (TEXT, TOKEN, PASSWORD, CURSOR, COOKIE, poll["cursor"], *(one["token"] for one in people)):  # fmt: skip
            place = text.find(secret)
            assert place < 0, (name, text[max(0, place - 300) : place + 60])
    assert "duration:" in written["postgres.log"]


def test_every_line_of_ours_is_json(stack, people):
    for name in OURS:
        for line in kept(stack, name).splitlines():
            found = json.loads(line)
            assert {"time", "level", "logger", "message", "process"} <= set(found), line


def test_a_request_its_statements_and_its_task_are_joined_by_its_id(stack, people):
    _, ben = people
    response = httpx.post(
        f"{stack.base_url}/export",
        headers={"Authorization": f"Bearer {ben['token']}", "X-Request-ID": "edge-42"},
        timeout=20,
    )
    assert response.status_code < 300, response.text
    assert response.headers["X-Request-ID"] == "edge-42"

    def of_it(name):
        return [line for line in parsed(stack, name) if line.get("request_id") == "edge-42"]

    answered = until(lambda: [line for line in of_it("web") if "method" in line])
    assert {line["user_id"] for line in answered} == {ben["user_id"]}
    assert {line["route"] for line in answered} == {"export_verb"}
    worked = until(lambda: of_it("worker"))
    assert all(line["task_id"] and line["task"].startswith("archive.") for line in worked)


def test_a_command_is_known_by_its_run(stack):
    done = subprocess.run(
        [sys.executable, "manage.py", "backup", "--json"],
        cwd=options.BASE_DIR,
        env={"PATH": "/usr/bin:/bin", "DATA_DIR": str(stack.data_dir)},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["ok"]
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines
    assert {line["command"] for line in lines} == {"backup"}
    assert len({line["run_id"] for line in lines}) == 1


def test_the_web_servers_own_lines_look_like_ours(stack, people):
    before = len(kept(stack, "web"))
    stack.workers()[-1].kill()
    new = until(lambda: [line for line in kept(stack, "web")[before:].splitlines() if "granian" in line])  # fmt: skip
    assert all(json.loads(line)["logger"] == "_granian" for line in new)
