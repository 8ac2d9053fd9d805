"""/metrics speaks for all web workers, in Prometheus' own format."""

import os
import time

import httpx
import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from common import counts
from config import counting


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.django_db
def test_it_is_prometheus_text_whatever_is_asked_for(servers):
    for accept in ("*/*", "application/json", "text/html", "application/openmetrics-text"):
        response = Client().get("/metrics", HTTP_ACCEPT=accept)
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain; version=0.0.4")
        found = samples(response.content.decode())
        assert found["strata_up", (("dependency", "database"),)] == 1
        assert found["strata_up", (("dependency", "cache"),)] == 1


def count_of(found, route, status="2xx"):
    return found.get(("strata_requests_total", (("route", route), ("status", status))), 0)


def test_requests_to_every_worker_are_counted_once(live_stack):
    def metrics():
        return samples(httpx.get(f"{live_stack.base_url}/metrics").text)

    before = metrics()
    for _ in range(40):
        # A connection each, so that both workers get some.
        assert httpx.get(f"{live_stack.base_url}/healthz").status_code == 200
    for _ in range(3):
        assert httpx.post(f"{live_stack.base_url}/get_messages").status_code == 401
        assert httpx.get(f"{live_stack.base_url}/nowhere").status_code == 404
    answers = [metrics() for _ in range(6)]
    for after in answers:
        assert count_of(after, "healthz") - count_of(before, "healthz") == 40
        assert count_of(after, "get_messages", "4xx") - count_of(before, "get_messages", "4xx") == 3
        assert count_of(after, "unknown", "4xx") - count_of(before, "unknown", "4xx") == 3
        assert after["strata_request_duration_seconds_sum", (("route", "healthz"),)] > 0
        assert (
            after["strata_request_duration_seconds_count", (("route", "healthz"),)]
            - before.get(("strata_request_duration_seconds_count", (("route", "healthz"),)), 0)
            == 40
        )
    workers = {
        dict(labels)["pid"]
        for after in answers
        for name, labels in after
        if name == "strata_worker_resident_bytes"
    }
    assert len(workers) == 2
    assert 0 <= answers[0]["strata_sweeper_age_seconds", ()] < 10


def test_counts_outlive_a_worker(live_stack):
    url = f"{live_stack.base_url}/metrics"
    httpx.get(f"{live_stack.base_url}/healthz")
    before = count_of(samples(httpx.get(url).text), "healthz")
    for worker in live_stack.workers():
        worker.kill()
    for _ in range(100):
        try:
            after = count_of(samples(httpx.get(url, timeout=5).text), "healthz")
            break
        except httpx.HTTPError:
            time.sleep(0.2)
    assert after >= before


@pytest.fixture
def not_sharing(monkeypatch):
    """Have this process count for itself, as it does otherwise, before and after."""
    monkeypatch.setattr(counting, "_shared", None)
    yield
    counts.board.unshare()


def test_folders_of_servers_that_are_gone_are_removed(tmp_path, not_sharing):
    gone = tmp_path / "metrics-4194999"
    gone.mkdir()
    counting.share(tmp_path)
    (own,) = tmp_path.iterdir()
    assert not gone.exists()
    assert own.name == f"metrics-{os.getppid()}"
    assert counting.own_folder() == own


def test_a_folder_given_from_outside_is_kept(tmp_path, not_sharing, settings):
    settings.METRICS_DIR = str(tmp_path / "given")
    counting.share(tmp_path / "elsewhere")
    assert counting.own_folder() == tmp_path / "given"
    assert [path.name for path in tmp_path.iterdir()] == ["given"]
    assert counting.REQUESTS.place("x", "2xx")
    assert ("strata_requests_total", ("x", "2xx")) in counting.totals()
