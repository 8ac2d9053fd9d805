"""The audit log's page: found by index, exported as CSV without formulas, changed by nobody."""

import csv
import io
import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Action, Entry
from audit.services import Target, record

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/audit/entry/"


@pytest.fixture
def browser(transactional_db):
    browser = Client()
    browser.force_login(get_user_model().objects.create_superuser("boss"))
    return browser


@pytest.fixture
def entries(browser):
    record(Action.BAN, target=Target("user", "7", "ada"), reason="spam")
    record(Action.UNBAN, target=Target("user", "7", "ada"))
    record(Action.BAN, target=Target("user", "8", "bob"))
    return list(Entry.objects.order_by("pk"))[1:]


def shown(browser, query=""):
    answer = browser.get(f"{PAGE}{query}")
    assert answer.status_code == 200
    return [entry.pk for entry in answer.context["cl"].result_list]


def exported(browser, query=""):
    answer = browser.get(f"{PAGE}export/{query}")
    assert answer.status_code == 200
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_newest_first(browser, entries):
    assert shown(browser) == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=ada", [3, 2]),
        ("?q=7", [3, 2]),
        ("?q=bob", [4]),
        ("?q=boss", [1]),
        ("?q=%233", [3]),
        ("?q=%23x", []),
        ("?q=ad", []),
        ("?action=ban", [4, 2]),
        ("?action=ban&q=ada", [2]),
        ("?days=1", [4, 3, 2, 1]),
        ("?days=x", [4, 3, 2, 1]),
    ],
)
def test_found_by_whole_words_and_filters(browser, entries, query, found):
    assert shown(browser, query) == found


def test_a_search_uses_the_indexes(browser, entries):
    with CaptureQueriesContext(connection) as captured:
        browser.get(f"{PAGE}?q=ada")
    searches = [q["sql"] for q in captured if "audit_entry" in q["sql"] and "'ada'" in q["sql"]]
    assert len(searches) == 4
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("SET enable_bitmapscan = off")
        for sql in searches:
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "using audit_by_" in plan, plan
        cursor.execute("RESET ALL")


def test_what_is_shown_is_exported_and_that_is_recorded(browser, entries):
    rows = exported(browser, "?action=ban")
    assert [row["id"] for row in rows] == ["4", "2"]
    assert (rows[1]["target_name"], rows[1]["reason"]) == ("ada", "spam")
    assert rows[1]["hash"] == bytes(entries[0].hash).hex()
    last = Entry.objects.latest("pk")
    assert (last.action, last.actor_name) == (Action.EXPORT_AUDIT, "boss")
    assert last.after == {"filters": {"action": "ban"}}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d"])
def test_no_cell_is_a_formula(browser, start):
    evil = f'{start}HYPERLINK("http://x","y")'
    record(Action.BAN, target=Target(evil, evil, evil), reason=evil, before={"a": 1})
    text = b"".join(browser.get(f"{PAGE}export/").streaming_content).decode()
    (row,) = [
        row for row in csv.DictReader(io.StringIO(text, newline="")) if row["action"] == "ban"
    ]
    for name, cell in row.items():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d")), name
    assert row["reason"] == f"'{evil}"


@pytest.mark.parametrize("evil", ["a;=1+1", "a; =1+1", "a\n=1+1", "a\r\n@x", "a\t-1", "a;\uff1d1"])
def test_nor_is_one_where_a_semicolon_or_a_line_ends_a_cell(browser, evil):
    """As for a spreadsheet where the comma is for fractions: it splits at semicolons and lines."""
    record(Action.BAN, target=Target("group", "1", evil), reason=evil)
    text = b"".join(browser.get(f"{PAGE}export/").streaming_content).decode()
    cells = [cell for line in text.splitlines() for cell in re.split(r"[;\t]", line)]
    assert not [cell for cell in cells if re.match(r"\s*[=+@\uff1d-]", cell)]


def test_an_ordinary_reason_is_exported_as_it_is(browser):
    why = "spam; sells pills, 3 = three times - e-mail: a@b.example"
    record(Action.BAN, reason=why)
    assert exported(browser, "?action=ban")[0]["reason"] == why


def test_a_long_log_is_exported_in_portions(browser, monkeypatch):
    from audit import export

    monkeypatch.setattr(export, "PORTION", 3)
    for _ in range(10):
        record(Action.BAN)
    assert [int(row["id"]) for row in exported(browser)] == list(range(12, 0, -1))


def test_nothing_is_added_changed_or_deleted_here(browser, entries):
    for url in ("add/", "2/delete/"):
        assert browser.post(f"{PAGE}{url}", {"post": "yes"}).status_code == 403
    assert browser.post(f"{PAGE}2/change/", {"reason": "other"}).status_code == 403
    assert Entry.objects.get(pk=2).reason == "spam"


def test_an_entry_is_read_whole(browser, entries):
    page = browser.get(f"{PAGE}2/change/").content.decode()
    assert "spam" in page
    assert bytes(entries[0].hash).hex() in page


def test_filters_of_any_kind_are_recorded(browser):
    exported(browser, "?q=a%00%5Cu0000%ED%A0%80")
    assert Entry.objects.latest("pk").action == Action.EXPORT_AUDIT
    before = Entry.objects.count()
    assert browser.get(f"{PAGE}export/?action=%00").status_code == 400
    assert Entry.objects.count() == before
