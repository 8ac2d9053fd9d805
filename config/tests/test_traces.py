"""Traces go to a collector, from the client through cache, database and queue; none when off."""

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config import options
from config.stack.folder import some_free_port
from config.stack.live import LiveStack

TEXT = "sekrit-text-of-a-span"


class Collector:
    """An OTLP receiver over HTTP on this machine, which keeps the spans that come."""

    def __init__(self):
        self.spans = []
        self.bodies = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, body):
        assert path == "/v1/traces"
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(about, span) for span in scope.spans]

    def of(self, trace_id, *names, seconds=90):
        """Return a trace's spans by name, once all of those are there."""
        deadline = time.monotonic() + seconds
        while True:
            found = {
                span.name: (about, span)
                for about, span in list(self.spans)
                if span.trace_id.hex() == trace_id
            }
            if set(names) <= set(found) or time.monotonic() > deadline:
                assert set(names) <= set(found), sorted(found)
                return found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def collector():
    found = Collector()
    yield found
    found.server.shutdown()


@pytest.fixture(scope="module")
def stack(tmp_path_factory, collector):
    folder = tmp_path_factory.mktemp("traces")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "LOG_FORMAT": "json",
        "ACCESS_LOG": "all",
    }
    with LiveStack(folder / "data", some_free_port(), settings) as running:
        yield running


@pytest.fixture(scope="module")
def people(stack):
    with httpx.Client(base_url=stack.base_url, timeout=20) as client:
        return [client.post("/register", json={"username": name}).json() for name in ("ann", "ben")]


def headers_of(person, trace_id):
    return {
        "Authorization": f"Bearer {person['token']}",
        "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
    }


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_send_is_a_span_of_its_callers_trace_with_its_statement_and_round_trips(
    stack, people, collector
):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = httpx.post(
        f"{stack.base_url}/send_message",
        headers=headers_of(people[0], trace_id),
        json={"recipient_id": people[1]["user_id"], "text": TEXT},
        timeout=20,
    )
    assert answer.status_code == 201
    found = collector.of(trace_id, "POST send_message", "cache tell", "cache authenticate")
    about, request = found["POST send_message"]
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert about["service.name"] == "strata"
    assert about["strata.process"] == "web"
    told = attributes(request)
    assert told["http.route"] == "send_message"
    assert told["http.response.status_code"] == 201
    assert told["strata.request_id"] == answer.headers["X-Request-ID"]
    statements = [span for name, (_, span) in found.items() if name.startswith("db ")]
    assert statements
    for _, span in found.values():
        assert span is request or span.parent_span_id == request.span_id


def test_a_refusal_is_no_error_of_ours(stack, people, collector):
    trace_id = "5bf92f3577b34da6a3ce929d0e0e4736"
    httpx.get(f"{stack.base_url}/nowhere", headers=headers_of(people[0], trace_id), timeout=20)
    _, span = collector.of(trace_id, "GET unknown")["GET unknown"]
    assert attributes(span)["http.response.status_code"] == 404
    assert span.status.code == 0


def test_a_task_belongs_to_the_trace_of_the_request_that_sent_it(stack, people, collector):
    trace_id = "6bf92f3577b34da6a3ce929d0e0e4736"
    answer = httpx.post(
        f"{stack.base_url}/export", headers=headers_of(people[0], trace_id), timeout=20
    )
    assert answer.status_code < 300, answer.text
    found = collector.of(
        trace_id, "POST export_verb", "S3 PutObject", "task archive.tasks.make_export"
    )
    task = found["task archive.tasks.make_export"]
    assert task[0]["strata.process"] == "worker"
    assert task[1].parent_span_id == found["POST export_verb"][1].span_id
    assert any(name.startswith("db ") for name in found)


def test_lines_of_the_log_name_the_trace(stack, people, collector):
    trace_id = "7bf92f3577b34da6a3ce929d0e0e4736"
    httpx.get(f"{stack.base_url}/users/me/", headers=headers_of(people[0], trace_id), timeout=20)
    deadline = time.monotonic() + 10
    path = stack.data_dir / "log" / "web.log"
    while trace_id not in path.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert f'"trace_id":"{trace_id}"' in path.read_text()


def test_a_command_is_a_trace(stack, collector):
    subprocess.run(
        [sys.executable, "manage.py", "backup", "--json"],
        cwd=options.BASE_DIR,
        env={
            "PATH": "/usr/bin:/bin",
            "DATA_DIR": str(stack.data_dir),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        },
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    (trace_id,) = {
        span.trace_id.hex() for _, span in collector.spans if span.name == "manage backup"
    }
    assert any(name.startswith("S3 ") for name in collector.of(trace_id, "manage backup"))


def test_no_span_holds_a_text_a_token_or_a_parameter(stack, people, collector):
    everything = b"".join(collector.bodies)
    for secret in (TEXT, *(person["token"] for person in people)):
        assert secret.encode() not in everything
    names = {span.name for _, span in collector.spans}
    assert not any("'" in name or "=" in name for name in names)


def test_what_nobody_asked_for_is_no_trace(stack, collector):
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        roots = {span.name for _, span in collector.spans if not span.parent_span_id}
        assert not any(name.startswith(("cache ", "db ", "S3 ")) for name in roots)
        time.sleep(0.5)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_when_off_nothing_is_wrapped_and_no_exporter_loaded(variables, tmp_path):
    script = (
        "import sys, config.wsgi\n"
        "from common.cache import Cache\n"
        # redis-py loads the metrics' half of the package by itself, where it is installed.
        "assert not any(name.startswith('opentelemetry.exporter') for name in sys.modules)\n"
        "assert 'config.tracing' not in sys.modules\n"
        "assert not hasattr(Cache._exchange, '__wrapped__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=options.BASE_DIR,
        env={"PATH": "", "DEBUG": "true", "DATA_DIR": str(tmp_path), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
