"""Liveness asks nobody; readiness says what is away, and never waits long for it."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client

from common.cache import cache
from config import health
from messaging.sweeper import Sweeper

pytestmark = pytest.mark.django_db(transaction=True)

HTML: Any = {"HTTP_ACCEPT": "text/html,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def fresh(transactional_db, servers):
    cache.close()
    cache.execute("FLUSHDB")
    Sweeper().sweep()
    forget()
    yield
    cache.close()
    forget()


def forget():
    """Have every dependency asked anew."""
    for probe in (health.DATABASE, health.CACHE, health.OBJECT_STORE):
        if probe._asked is not None:
            probe._asked.result(timeout=10)
        probe._asked, probe.failure = None, None


def ready(**headers):
    started = time.monotonic()
    response = Client().get("/readyz", **headers)
    return response, response.json(), time.monotonic() - started


def states(body):
    return {name: found["state"] for name, found in body["dependencies"].items()}


def test_all_is_well():
    response, body, _ = ready()
    assert response.status_code == 200
    assert body["status"] == "ok"
    assert states(body) == dict.fromkeys(("database", "cache", "object_store", "sweeper"), "ok")
    for name in ("database", "cache", "object_store"):
        assert 0 < body["dependencies"][name]["latency_ms"] < 3000
    assert 0 <= body["dependencies"]["sweeper"]["age_seconds"] < 10


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense"])
def test_the_answer_is_json_whatever_is_asked_for(path, accept):
    response = Client().get(path, HTTP_ACCEPT=accept)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_nothing_can_be_posted(path):
    response = Client().post(path, b"{}", content_type="application/json", **HTML)
    assert response.status_code == 405
    assert response.json()["errors"][0]["code"] == "method_not_allowed"


def test_liveness_asks_nobody(servers, django_assert_num_queries):
    servers.postgres.pause()
    servers.valkey.pause()
    try:
        started = time.monotonic()
        with django_assert_num_queries(0):
            response = Client().get("/healthz")
        assert time.monotonic() - started < 1
    finally:
        servers.valkey.resume()
        servers.postgres.resume()
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_database_that_hangs_is_a_503_in_time(servers):
    servers.postgres.pause()
    try:
        response, body, seconds = ready(**HTML)
    finally:
        servers.postgres.resume()
    assert seconds < 3
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert body["type"] == "server_error"
    (error,) = body["errors"]
    assert (error["code"], error["attr"]) == ("unavailable", "database")
    assert error["detail"]


def test_a_crowd_does_not_wait_in_line_for_what_hangs(servers):
    servers.postgres.pause()
    try:
        ready()
        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: ready()[0].status_code, range(8)))
        seconds = time.monotonic() - started
    finally:
        servers.postgres.resume()
    assert answers == [503] * 8
    assert seconds < 3


def test_it_is_ready_again_as_soon_as_the_database_is(servers):
    servers.postgres.pause()
    try:
        assert ready()[0].status_code == 503
    finally:
        servers.postgres.resume()
    time.sleep(health.REUSE_SECONDS + 0.1)
    assert ready()[0].status_code == 200


def test_without_the_cache_it_is_degraded_and_ready(servers):
    servers.valkey.pause()
    try:
        response, body, seconds = ready()
    finally:
        servers.valkey.resume()
    assert seconds < 3
    assert (response.status_code, body["status"]) == (200, "degraded")
    assert states(body) == {
        "database": "ok", "cache": "degraded", "object_store": "ok", "sweeper": "degraded",
    }  # fmt: skip


def test_without_the_object_store_it_is_degraded_and_ready(servers):
    servers.s3.pause()
    try:
        response, body, seconds = ready()
    finally:
        servers.s3.resume()
    assert seconds < 3
    assert (response.status_code, body["status"]) == (200, "degraded")
    assert states(body)["object_store"] == "degraded"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("S3_BUCKET", "no-such-bucket"),
        ("S3_SECRET_ACCESS_KEY", "wrong"),
        ("S3_ENDPOINT_URL", "http://127.0.0.1:1"),
    ],
)
def test_a_bucket_that_can_not_be_used_is_noticed(settings, setting, value):
    setattr(settings, setting, value)
    _, body, _ = ready()
    assert states(body)["object_store"] == "degraded"


def test_a_sweeper_that_is_late_or_has_never_spoken_is_noticed():
    cache.execute("HINCRBY", "fresh", "ms", -60_000)
    _, body, _ = ready()
    assert states(body)["sweeper"] == "degraded"
    assert body["dependencies"]["sweeper"]["age_seconds"] > 59
    cache.execute("DEL", "fresh")
    forget()
    response, body, _ = ready()
    assert (response.status_code, states(body)["sweeper"]) == (200, "degraded")


def test_nothing_is_said_that_an_outsider_should_not_know(settings):
    settings.S3_ENDPOINT_URL = "http://user:secret@127.0.0.1:1"
    response, _, _ = ready()
    assert b"secret" not in response.content
    assert b"127.0.0.1" not in response.content
