"""What /metrics asks for when it is read: cold storage, queue, tasks, sweeps, reports."""

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import redis
from django.db import connection
from django.test import Client

from accounts.models import User
from accounts.services import register
from archive.models import BackupRun, DrillRun, RetentionRun
from archive.verify import verify
from chats.services import send_message
from common.cache import cache
from common.tests.servers import full_cache
from config import figures, health, signs, tasks
from config.celery import app
from config.tests.test_metrics import samples
from messaging.sweeper import Sweeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh(transactional_db, servers):
    cache.close()
    cache.execute("FLUSHDB")
    forget()
    yield
    cache.close()
    forget()


def forget():
    """Have everything asked anew."""
    for probe in (health.DATABASE, health.CACHE, health.OBJECT_STORE, *figures_of()):
        if probe._asked is not None:
            probe._asked.result(timeout=10)
        probe._asked, probe.failure = None, None


def figures_of():
    return figures.SERVER, figures.PEOPLE, figures.COLD, figures.KEPT


def read(name, **labels):
    """Return a figure as /metrics tells it, None when it doesn't."""
    forget()
    found = samples(Client().get("/metrics").content.decode())
    return found.get((name, tuple(sorted(labels.items()))))


def hour_now():
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def pair():
    return [register(username=name, password=None).user for name in ("ann", "ben")]


def test_without_a_message_the_newest_whole_hour_is_the_last_one():
    assert read("strata_backup_complete_timestamp_seconds") == hour_now().timestamp()
    assert read("strata_backup_waiting_messages") == 0
    assert 0 <= read("strata_backup_lag_seconds") < 3601


def test_the_lag_is_that_of_the_oldest_message_that_cold_storage_lacks(pair):
    ann, ben = pair
    for _ in range(3):
        send_message(sender_id=ann.pk, recipient_id=ben.pk, text="hello")
    assert read("strata_backup_waiting_messages") == 3
    assert read("strata_backup_lag_seconds") < 3601
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_message SET sent_at = sent_at - interval '5 hours' WHERE seq = 1")  # fmt: skip
    complete = read("strata_backup_complete_timestamp_seconds")
    assert hour_now() - timedelta(hours=6) <= datetime.fromtimestamp(complete, UTC) < hour_now()
    assert 5 * 3600 <= read("strata_backup_lag_seconds") < 6 * 3600 + 1
    assert time.time() - complete == pytest.approx(read("strata_backup_lag_seconds"), abs=5)


def test_the_last_runs_are_told_and_those_that_have_not_ended_are_not():
    assert read("strata_drill_ok") is None
    ended = datetime.now(UTC) - timedelta(hours=2)
    DrillRun.objects.create(
        finished_at=ended, ok=False, lost=7, lost_seconds=61.5, differing=2, missing=4
    )
    DrillRun.objects.create(ok=True)
    RetentionRun.objects.create(
        days=90, before=ended, finished_at=ended, due=5, deleted=4, freed=300, failed=1
    )
    BackupRun.objects.create(until=ended, finished_at=ended, messages=9, failed=3, missing=5)
    assert read("strata_drill_ok") == 0
    assert read("strata_drill_lost_messages") == 7
    assert read("strata_drill_missing_messages") == 4
    assert read("strata_backup_missing_objects") == 5
    assert read("strata_drill_lost_seconds") == 61.5
    assert read("strata_drill_run_timestamp_seconds") == pytest.approx(ended.timestamp(), abs=0.01)
    assert read("strata_retention_due_objects") == 5
    assert read("strata_retention_deleted_objects") == 4
    assert read("strata_retention_failed_chats") == 1
    assert read("strata_backup_run_messages") == 9
    assert read("strata_backup_failed_chats") == 3


def test_what_verify_found_and_what_the_bucket_holds_is_told():
    assert read("strata_verify_run_timestamp_seconds") is None
    verify()
    assert read("strata_verify_run_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert read("strata_verify_wrong_objects") == 0
    assert tasks.measure()
    assert read("strata_archive_objects") == 0
    assert read("strata_archive_bytes") == 0


def test_the_queue_tells_how_long_it_is_and_how_long_its_oldest_has_waited():
    assert read("strata_queue_length") == 0
    assert read("strata_queue_oldest_age_seconds") == 0
    tasks.measure.delay()
    name = f"{app.conf.broker_transport_options['global_keyprefix']}celery"
    message = cache.execute("LINDEX", name, -1)
    sent = str(time.time() - 500).encode()
    at = message.index(b'"strata_sent_at": ') + len(b'"strata_sent_at": ')
    end = at + min(message[at:].index(b","), message[at:].index(b"}"))
    cache.execute("LSET", name, -1, message[:at] + sent + message[end:])
    tasks.measure.delay()
    assert read("strata_queue_length") == 2
    assert 499 <= read("strata_queue_oldest_age_seconds") < 560
    cache.execute("LSET", name, -1, b"no message of ours")
    assert read("strata_queue_oldest_age_seconds") == 0


def test_a_queue_with_a_server_of_its_own_is_asked_there(settings):
    name = f"{app.conf.broker_transport_options['global_keyprefix']}celery"
    another = settings.REDIS_URL.rsplit("/", 1)[0] + "/5"
    settings.CACHES = settings.CACHES | {"queue": settings.CACHES["queue"] | {"LOCATION": another}}
    with redis.Redis.from_url(another) as client:
        client.lpush(name, "a task", "another")
        try:
            assert read("strata_queue_length") == 2
            assert cache.execute("LLEN", name) == 0
        finally:
            client.delete(name)


def test_runs_of_tasks_are_counted_by_how_they_ended():
    def run(task, **kwargs):
        task.apply(**kwargs)

    run(tasks.measure)
    run(tasks.measure)
    name = tasks.measure.name
    assert read("strata_task_runs_total", task=name, outcome="ok") == 2
    assert read("strata_task_runs_total", task=name, outcome="failed") == 0
    assert read("strata_task_last_success_timestamp_seconds", task=name) == pytest.approx(
        time.time(), abs=60
    )

    @app.task(name="test.fails")
    def fails(how):
        if how == "raises":
            raise ValueError
        return False

    run(fails, args=["raises"])
    run(fails, args=["says so"])
    assert read("strata_task_runs_total", task="test.fails", outcome="failed") == 2
    assert read("strata_task_last_success_timestamp_seconds", task="test.fails") is None


def test_sweeps_and_what_they_mended_are_counted(pair):
    ann, ben = pair
    Sweeper().sweep()
    assert read("strata_sweeper_sweeps_total") == 1
    assert read("strata_sweeper_repairs_total", kind="generation") == 1
    sent = send_message(sender_id=ann.pk, recipient_id=ben.pk, text="hello")
    assert sent.created
    cache.execute("HDEL", *cache.execute("KEYS", "c:*")[:1], "told")
    Sweeper().sweep()
    assert read("strata_sweeper_repairs_total", kind="chat") == 1
    assert read("strata_hot_tier_evicted_total") == 0
    with full_cache():
        Sweeper().sweep()
    assert read("strata_hot_tier_evicted_total") > 0


def test_heartbeats_are_told_by_process():
    Sweeper().sweep()
    signs.say("worker")
    cache.execute("HSET", signs.ALIVE_KEY, "beat", int((time.time() - 300) * 1000))
    assert read("strata_heartbeat_age_seconds", process="sweeper") < 30
    assert read("strata_heartbeat_age_seconds", process="worker") < 30
    assert 299 < read("strata_heartbeat_age_seconds", process="beat") < 330
    forget()
    processes = Client().get("/readyz").json()["processes"]
    assert processes["worker"]["state"] == "ok"
    assert processes["beat"]["state"] == "late"
    assert processes["beat"]["age_seconds"] > 299


def test_a_process_that_has_not_spoken_is_late_and_no_reason_to_take_traffic_away():
    Sweeper().sweep()
    body = Client().get("/readyz").json()
    assert body["status"] == "ok"
    assert {name: one["state"] for name, one in body["processes"].items()} == {
        "worker": "late", "beat": "late",
    }  # fmt: skip
    assert "has not spoken" in body["processes"]["beat"]["detail"]


def test_when_a_dependency_was_last_asked_and_last_answered_well_is_told(servers):
    Sweeper().sweep()
    good = Client().get("/readyz").json()["dependencies"]["cache"]
    assert 0 <= good["checked_seconds_ago"] < 30
    assert 0 <= good["ok_seconds_ago"] < 30
    servers.valkey.pause()
    try:
        forget()
        bad = Client().get("/readyz").json()["dependencies"]["cache"]
    finally:
        servers.valkey.resume()
    assert bad["state"] == "degraded"
    assert bad["ok_seconds_ago"] > 0
    assert bad["ok_seconds_ago"] >= bad["checked_seconds_ago"]
    assert User.objects.count() == 0


def test_what_postgresql_and_valkey_say_of_themselves_is_told():
    assert read("strata_database_connections_max") >= 10
    assert read("strata_database_transactions_total", outcome="commit") > 0
    assert read("strata_database_size_bytes") > 1_000_000
    assert read("strata_database_longest_transaction_seconds") >= 0
    assert read("strata_cache_memory_bytes") > 100_000
    assert read("strata_cache_memory_max_bytes") is not None
    assert read("strata_reports_open") == 0
    assert read("strata_build_info", version="1.0.0", python=__import__("platform").python_version(), django=__import__("django").get_version()) == 1  # fmt: skip


def test_a_scrape_is_four_statements_and_the_next_one_is_none(monkeypatch):
    asked = []
    connect = psycopg.Connection.execute

    def execute(self, query, *arguments, **options):
        asked.append(query)
        return connect(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    Client().get("/metrics")
    assert len(asked) == 4
    for _ in range(3):
        Client().get("/metrics")
    # That of /readyz is asked again when it is a second old.
    assert len([query for query in asked if query != health._ESTIMATES]) == 3
