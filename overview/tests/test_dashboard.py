"""The admin's first page: drawn from figures alone, in a handful of queries."""

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.tests.factories import make_user
from archive.models import DrillRun, RetentionRun
from overview.models import Figure, Name
from overview.services import HOUR, stretch_of

pytestmark = pytest.mark.django_db
PAGE = "/admin/"


def fill(now, hours=48, value=10.0):
    hour = now.replace(minute=0, second=0, microsecond=0)
    Figure.objects.bulk_create(
        [
            Figure(name=name, at=hour - HOUR * back, value=value)
            for name in (Name.MESSAGES, Name.WRITERS)
            for back in range(hours)
        ]
        + [
            Figure(name=name, at=stretch_of(now) - timedelta(minutes=10) * back, value=value)
            for name in Name
            if name not in (Name.MESSAGES, Name.WRITERS)
            for back in range(144)
        ]
    )


def plots_of(page):
    (found,) = re.findall(r'id="plots-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def test_a_fresh_install_says_so_and_draws_nothing(browser):
    page = browser.get(PAGE).content.decode()
    assert "No figures yet" in page
    assert "<canvas" not in page
    # What was not noted yet is not said to be nothing.
    assert page.count("Nothing is known yet.") == 6
    assert "Nobody has written" not in page
    assert re.findall(r'class="card-value"[^>]*>([^<]*)', page)[:2] == ["-", "-"]
    assert "No purge has run yet." in page


def test_it_draws_what_was_noted_and_says_it_in_words(browser):
    fill(timezone.now())
    now = timezone.now()
    RetentionRun.objects.create(
        finished_at=now, before=now, days=90, due=12, deleted=11, kept=1, freed=4
    )
    page = browser.get(PAGE).content.decode()
    plots = plots_of(page)
    assert set(plots) == {
        "messages", "writers", "served", "backup_lag", "queue", "reports", "retention",
    }  # fmt: skip
    assert plots["messages"]["lines"][0]["values"] == [10.0] * 48
    assert [line["values"][-2] for line in plots["served"]["lines"]] == [33.3] * 3
    assert "480 messages in 48 hours" in page
    assert "11 of 12 objects" in page
    assert page.count("<canvas") == page.count("As a table") == 7
    assert 'aria-label="Messages per hour: 480 messages' in page
    assert "No figures yet" not in page


def test_figures_that_stopped_coming_are_told(browser):
    fill(timezone.now() - timedelta(hours=3))
    assert "the scheduler or the worker is not running" in browser.get(PAGE).content.decode()


@pytest.mark.parametrize(("ok", "said"), [(True, "passed"), (False, "failed")])
def test_the_last_drill_is_shown(browser, ok, said):
    DrillRun.objects.create(finished_at=timezone.now(), ok=ok)
    assert said in browser.get(PAGE).content.decode()


def test_it_takes_as_few_queries_with_many_figures_as_with_none(browser):
    def asked():
        with CaptureQueriesContext(connection) as captured:
            browser.get(PAGE)
        return [query["sql"] for query in captured]

    browser.get(PAGE)
    before = asked()
    fill(timezone.now())
    RetentionRun.objects.bulk_create(
        RetentionRun(finished_at=timezone.now(), before=timezone.now(), days=90) for _ in range(50)
    )
    after = asked()
    assert len(before) == len(after) <= 8
    for sql in after:
        assert "COUNT(" not in sql.upper()
        assert '"messaging_message"' not in sql


def test_it_is_for_the_staff():
    assert Client().get(PAGE).status_code == 302
    stranger = Client()
    stranger.force_login(make_user("ada"))
    assert stranger.get(PAGE).status_code == 302


def test_who_may_nothing_sees_a_page_and_no_menu():
    browser = Client()
    browser.force_login(make_user("staff", is_staff=True))
    page = browser.get(PAGE).content.decode()
    assert "/admin/accounts/user/" not in page
