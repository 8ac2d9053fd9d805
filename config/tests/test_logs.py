"""What the log tells: whose work each line is of, what was slow; and what it never tells."""

import json
import logging
import subprocess
import sys
import time

import pytest
from django.db import IntegrityError, connection
from django.http import HttpRequest
from django.test import Client

from accounts.models import User
from common import context, logs
from common.database import rows
from config import options
from config.counting import UsualHandler


@pytest.fixture
def lines(settings):
    """Return the lines that are written meanwhile, as JSON, read."""
    kept = []

    class Keeper(logging.Handler):
        def emit(self, record):
            kept.append(json.loads(self.format(record)))

    keeper = Keeper()
    keeper.addFilter(logs.Context())
    keeper.setFormatter(logs.JSON())
    root = logging.getLogger()
    root.addHandler(keeper)
    yield kept
    root.removeHandler(keeper)


def serving(monkeypatch):
    """Return a client whose handler is the one that browsers get."""
    client = Client()
    handler = UsualHandler()
    handler.load_middleware()
    monkeypatch.setattr(client.handler, "get_response", handler.get_response)
    return client


def test_a_request_is_named_in_its_answer_and_its_lines(lines, monkeypatch, settings):
    settings.ACCESS_LOG = "all"
    response = serving(monkeypatch).get("/healthz?cursor=secret")
    (line,) = [line for line in lines if line["logger"] == "strata.access"]
    assert line["request_id"] == response["X-Request-ID"]
    assert len(line["request_id"]) == 32
    assert (line["route"], line["method"], line["status"]) == ("healthz", "GET", 200)
    assert line["duration_ms"] > 0
    assert line["level"] == "INFO"
    assert line["time"].endswith("Z")
    assert "secret" not in json.dumps(lines)
    assert not context.current.request_id
    assert context.current.request is None


@pytest.mark.parametrize("trusting", [True, False])
def test_an_id_from_outside_is_taken_from_a_trusted_proxy_alone(monkeypatch, settings, trusting):
    settings.TRUST_REQUEST_ID = trusting
    client = serving(monkeypatch)
    given = "edge-7f3:1"
    assert (client.get("/healthz", HTTP_X_REQUEST_ID=given)["X-Request-ID"] == given) == trusting
    for unsound in ("", "a b", "x\ny", "ä", "x" * 129, "<script>"):
        assert client.get("/healthz", HTTP_X_REQUEST_ID=unsound)["X-Request-ID"] != unsound


def test_ids_are_not_given_twice_and_not_by_a_forked_child():
    ids = [context.new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    script = (
        "import os\nfrom common import context\nprint(context.new_id(), flush=True)\n"
        "if os.fork() == 0:\n    print(context.new_id(), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=options.BASE_DIR,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, second = done.stdout.split()
    assert first[:20] != second[:20]


@pytest.mark.parametrize(
    ("which", "told"),
    [("off", []), ("cold", ["root", "unknown"]), ("all", ["healthz", "root", "unknown"])],
)
def test_the_access_log_tells_as_much_as_is_asked_for(lines, monkeypatch, settings, which, told):
    settings.ACCESS_LOG = which
    settings.SLOW_REQUEST_MS = 0
    client = serving(monkeypatch)
    for path in ("/healthz", "/", "/nowhere", "/static/common/strata.svg"):
        client.get(path)
    found = [line["route"] for line in lines if line["logger"] == "strata.access" and "route" in line]  # fmt: skip
    assert found == told


def test_a_slow_request_is_told_of_whatever_the_access_log(lines, monkeypatch, settings):
    settings.ACCESS_LOG = "off"
    settings.SLOW_REQUEST_MS = 60_000
    serving(monkeypatch).get("/")
    assert not [line for line in lines if line["logger"] == "strata.slow"]
    settings.SLOW_REQUEST_MS = 0.001
    response = serving(monkeypatch).get("/")
    (line,) = [line for line in lines if line["logger"] == "strata.slow"]
    assert line["level"] == "WARNING"
    assert line["message"].startswith("slow request: GET root 200 in ")
    assert line["request_id"] == response["X-Request-ID"]


@pytest.mark.django_db
def test_a_slow_statement_is_told_of_by_its_text_without_parameters(lines, settings):
    settings.SLOW_QUERY_MS = 20
    rows("SELECT pg_sleep(%s), %s::text", (0.03, "a secret"))
    list(User.objects.filter(username="a secret"))
    (line,) = [line for line in lines if line["logger"] == "strata.slow"]
    assert line["statement"] == "SELECT pg_sleep(%s), %s::text"
    assert line["duration_ms"] >= 30
    assert "secret" not in json.dumps(lines)


@pytest.mark.django_db
def test_a_statement_of_a_file_is_told_of_by_its_name(lines, settings):
    settings.SLOW_QUERY_MS = 0.001
    from messaging import inbox

    inbox.horizon()
    (line,) = [line for line in lines if line["logger"] == "strata.slow"]
    assert line["statement"] == "messaging.horizon"


@pytest.mark.django_db
def test_without_the_setting_statements_are_not_timed(lines, settings):
    settings.SLOW_QUERY_MS = 0
    rows("SELECT pg_sleep(0.02)", ())
    assert not lines


@pytest.mark.django_db(transaction=True)
def test_what_the_database_says_of_a_row_is_not_told(lines, settings):
    def refuse():
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE short (text text CHECK (length(text) < 3))")
            cursor.execute(
                "INSERT INTO short VALUES (%s)", ["a secret\n\nTraceback of\nsecret two"]
            )

    with pytest.raises(IntegrityError, match="secret") as caught:
        refuse()
    error = caught.value
    logging.getLogger("test").error("failed: %s", error, exc_info=error)
    logging.getLogger("test").warning("flat: %s", " ".join(str(error).split()))
    assert len(lines) == 2
    assert "secret" not in json.dumps(lines)
    assert "IntegrityError" in lines[0]["exception"]
    assert "violates check constraint" in lines[1]["message"]
    record = logging.LogRecord("x", 30, "", 0, "failed", (), caught._excinfo)
    assert "secret" not in logs.Line().format(record)


def test_a_line_for_people_ends_with_the_ids():
    record = logging.LogRecord("strata", logging.INFO, "", 0, "hello %s", ("you",), None)
    context.current.request_id = "abc"
    context.process["run_id"] = "r1"
    try:
        logs.Context().filter(record)
    finally:
        context.current.request_id = ""
        del context.process["run_id"]
    assert logs.Line().format(record).endswith(" INFO strata: hello you [run=r1 request=abc]")


@pytest.mark.parametrize(("name", "value"), [("LOG_FORMAT", "xml"), ("ACCESS_LOG", "some")])
def test_a_word_that_is_none_of_the_choices_starts_nothing(name, value):
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        cwd=options.BASE_DIR,
        env={"PATH": "", "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "config.settings", name: value},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"{name} is {value!r}; it must be "
        + ("line or json.\n" if name == "LOG_FORMAT" else "off, cold or all.\n")
    )


def test_a_path_that_asks_for_much_work_costs_little():
    # Taking white space off before the word took time by the square of its length.
    text = "Not Found: /" + " " * 60_000 + "CONTEXT"
    for end in ("", ":"):
        started = time.thread_time()
        logs.without_row(text + end)
        assert time.thread_time() - started < 0.25


def test_a_line_names_a_path_by_its_beginning():
    record = logging.LogRecord(
        "django.request",
        logging.WARNING,
        "x.py",
        1,
        "%s: %s",
        ("Not Found", "/" + "a" * 5000),
        None,
    )
    assert logs.Context().filter(record)
    assert record.getMessage() == "Not Found: /" + "a" * (logs.PATH_MAX_CHARS - 1) + "…"


def test_lines_of_refused_requests_are_a_sample():
    sample = logs.Sample()

    def line(at, level=logging.WARNING):
        record = logging.LogRecord("django.request", level, "x.py", 1, "%s: %s", ("a", "/b"), None)
        record.created = at
        return record.getMessage() if sample.filter(record) else None

    assert [line(5.0) for _ in range(logs.SAMPLE_LINES)] == ["a: /b"] * logs.SAMPLE_LINES
    assert [line(6.0) for _ in range(30)] == [None] * 30
    assert line(6.0, logging.ERROR) == "a: /b"
    assert line(5.0 + logs.SAMPLE_SECONDS) == "a: /b (30 more refusals before it are not told)"
    assert line(6.0 + logs.SAMPLE_SECONDS) == "a: /b"


def test_lines_of_strangers_in_the_access_log_are_a_sample(monkeypatch):
    sample = logs.StrangersSample()

    def line(status, at=5.0):
        record = logging.LogRecord("strata.access", logging.INFO, "x.py", 1, "%s", ("a",), None)
        record.created, record.status = at, status
        return record.getMessage() if sample.filter(record) else None

    most = logs.SAMPLE_LINES
    found = [line(status) for status in (302, 404) * most]
    assert found == ["a"] * most + [None] * most
    assert [line(status) for status in (200, 503)] == ["a", "a"]
    # Of whoever has come in each is told.
    monkeypatch.setattr(context.current, "request", HttpRequest())
    monkeypatch.setattr(context.current, "user_id", b"1")
    assert line(404) == "a"
    monkeypatch.setattr(context.current, "user_id", None)
    told = line(302, 5.0 + logs.SAMPLE_SECONDS)
    assert told == f"a ({most} more refusals before it are not told)"


def test_the_access_log_goes_through_it():
    filters = logging.getLogger("strata.access").filters
    assert {type(one) for one in filters} == {logs.StrangersSample}


def test_slow_lines_that_strangers_cause_are_a_sample(monkeypatch):
    sample = logs.SlowSample()

    def line(at=5.0):
        record = logging.LogRecord("strata.slow", logging.WARNING, "x.py", 1, "%s", ("a",), None)
        record.created = at
        return record.getMessage() if sample.filter(record) else None

    most = logs.SAMPLE_LINES
    # The worker's and a command's are each told.
    assert [line() for _ in range(2 * most)] == ["a"] * 2 * most
    monkeypatch.setattr(context.current, "request", HttpRequest())
    assert [line() for _ in range(2 * most)] == ["a"] * most + [None] * most
    monkeypatch.setattr(context.current, "user_id", b"1")
    assert line() == "a"
    monkeypatch.setattr(context.current, "user_id", None)
    assert line(5.0 + logs.SAMPLE_SECONDS) == f"a ({most} more slow ones before it are not told)"
    filters = logging.getLogger("strata.slow").filters
    assert {type(one) for one in filters} == {logs.SlowSample}
