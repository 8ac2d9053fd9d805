"""The dashboard's figures are added to: every message once, whoever runs how often."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import Message
from overview import services
from overview.models import Figure, Name, Progress, Writer

pytestmark = pytest.mark.django_db


def noted(name):
    return sum(Figure.objects.filter(name=name).values_list("value", flat=True))


def test_messages_and_who_wrote_them_are_counted_by_the_hour(people, write):
    ada, ben = people
    at = write(ada, number=3)
    write(ben, number=2)
    services.count_messages()
    hour = at.replace(minute=0, second=0, microsecond=0)
    assert Figure.objects.filter(name=Name.MESSAGES, at__gte=hour - services.HOUR).count() >= 1
    assert (noted(Name.MESSAGES), noted(Name.WRITERS)) == (5, 2)


def test_again_counts_only_what_is_new(people, write):
    ada, ben = people
    write(ada, number=3)
    for _ in range(3):
        services.count_messages()
    assert (noted(Name.MESSAGES), noted(Name.WRITERS)) == (3, 1)
    write(ada)
    write(ben)
    services.count_messages()
    assert (noted(Name.MESSAGES), noted(Name.WRITERS)) == (5, 2)


def test_what_may_still_be_overtaken_waits(people, write):
    write(people[0], ago=timedelta(seconds=1), number=4)
    services.count_messages()
    assert noted(Name.MESSAGES) == 0
    Message.objects.update(sent_at=timezone.now() - timedelta(minutes=1))
    services.count_messages()
    assert noted(Name.MESSAGES) == 4


def test_system_messages_are_nobody_s(people, write):
    write(people[0], kind="system", number=2)
    write(people[0], kind="removed")
    services.count_messages()
    assert noted(Name.MESSAGES) == 1


def test_what_a_restore_writes_again_is_not_counted_again(people, write):
    write(people[0], ago=timedelta(hours=5), number=3)
    services.count_messages()
    write(people[0], ago=timedelta(hours=5), number=3)
    services.count_messages()
    assert noted(Name.MESSAGES) == 3


def test_a_worker_that_was_away_catches_up(people, write):
    services.count_messages()
    Progress.objects.update(counted_at=timezone.now() - timedelta(hours=9))
    write(people[0], ago=timedelta(hours=8), number=2)
    write(people[0], ago=timedelta(hours=3))
    services.count_messages()
    assert noted(Name.MESSAGES) == 3


def test_many_are_counted_some_at_a_time(people, write, monkeypatch):
    monkeypatch.setattr(services, "AT_ONCE", 4)
    write(people[0], number=11)
    services.count_messages()
    assert noted(Name.MESSAGES) == 11


def test_counting_reads_the_new_rows_alone(people, write):
    write(people[0], number=300)
    services.count_messages()
    write(people[0], number=2)
    with CaptureQueriesContext(connection) as captured:
        services.count_messages()
    statements = [q["sql"] for q in captured if "messaging_message" in q["sql"]]
    assert statements
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in statements:
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on messaging_message" not in plan, plan


def test_figures_are_kept_by_ten_minutes_and_a_queue_by_its_longest():
    at = datetime(2026, 11, 24, 9, 17, tzinfo=UTC)
    services.note(at, {Name.QUEUE: 7, Name.BACKUP_LAG: 60})
    services.note(at + timedelta(minutes=1), {Name.QUEUE: 2, Name.BACKUP_LAG: 120})
    services.note(at + timedelta(minutes=3), {Name.QUEUE: 1})
    found = {figure.name: figure for figure in Figure.objects.filter(at=at.replace(minute=10))}
    assert (found[Name.QUEUE].value, found[Name.BACKUP_LAG].value) == (7, 120)
    assert Figure.objects.get(at=at.replace(minute=20)).value == 1


def test_what_tiers_served_is_added_up_through_restarts():
    now = timezone.now()
    services.note_served(now, {"cache": 1000.0})
    assert noted(Name.FROM_CACHE) == 0
    services.note_served(now, {"cache": 1010.0, "archive": 2.0})
    services.note_served(now, {"cache": 4.0, "archive": 3.0})
    assert (noted(Name.FROM_CACHE), noted(Name.FROM_ARCHIVE)) == (14, 1)


def test_old_figures_go():
    now = timezone.now()
    for days in (1, 30, 100):
        at = now - timedelta(days=days)
        Figure.objects.create(name=Name.MESSAGES, at=at, value=1)
        Figure.objects.create(name=Name.QUEUE, at=at, value=1)
        Writer.objects.create(hour=at, user_id="01a20cc2-47bb-7639-8316-8a00ac8eca87")
    assert services.forget(now) == 3
    assert (noted(Name.MESSAGES), noted(Name.QUEUE), Writer.objects.count()) == (2, 1, 0)
