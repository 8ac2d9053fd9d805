"""The admin's lists count nothing, and still show where one is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import make_user
from common.admin import DEEPEST_PAGE, LeanPaginator

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client):
    client.force_login(User.objects.create_superuser("root", "seven wild swans"))
    return client


def queries(browser, url):
    browser.get(url)
    with CaptureQueriesContext(connection) as captured:
        response = browser.get(url)
    return response, [query["sql"] for query in captured]


@pytest.fixture
def many():
    User.objects.bulk_create(
        [User(username=f"user{n:03}", display_name=f"user{n:03}") for n in range(119)]
    )


def test_a_list_counts_nothing_and_asks_once(browser, many):
    response, asked = queries(browser, "/admin/accounts/user/")
    assert response.status_code == 200
    assert not [sql for sql in asked if "COUNT(" in sql.upper()]
    lists = [sql for sql in asked if 'FROM "accounts_user"' in sql and "LIMIT" in sql]
    # The rows, and one look past the page; the rest of the queries don't grow with the table.
    assert len([sql for sql in lists if "ORDER BY" in sql]) == 2
    assert len(asked) <= 8


def test_the_pages_hold_every_row_once(browser, many):
    seen = []
    for page in (1, 2, 3):
        result = browser.get(f"/admin/accounts/user/?p={page}").context["cl"]
        seen += [user.username for user in result.result_list]
    assert len(seen) == 120
    assert len(set(seen)) == 120


def test_it_says_how_many_there_are_at_least(browser, many):
    assert "more than 50 users" in browser.get("/admin/accounts/user/").content.decode()
    assert "120 users" in browser.get("/admin/accounts/user/?p=3").content.decode()


@pytest.mark.parametrize("page", ["4", "0", "x", "-1", "1000000", "9" * 30, "9" * 5000])
def test_a_page_that_is_none_is_no_defect(browser, many, page):
    response = browser.get(f"/admin/accounts/user/?p={page}", follow=True)
    assert response.status_code == 200
    assert len(response.context["cl"].result_list) <= 50


def test_a_deep_page_is_not_walked_to(django_assert_num_queries):
    paginator = LeanPaginator(User.objects.order_by("pk"), 50, page_number=DEEPEST_PAGE + 1)
    with django_assert_num_queries(0):
        assert paginator.count == DEEPEST_PAGE * 50


@pytest.mark.parametrize(("rows", "count"), [(0, 0), (1, 1), (50, 50), (51, 51), (99, 51)])
def test_it_looks_one_row_past_the_page(rows, count):
    for _ in range(rows):
        make_user()
    paginator = LeanPaginator(User.objects.order_by("pk"), 50, page_number=1)
    assert paginator.count == count
    assert paginator.num_pages == (2 if rows > 50 else 1)
    assert LeanPaginator(list(range(rows)), 50).count == count


def test_the_whole_table_is_never_one_page(browser, many):
    response = browser.get("/admin/accounts/user/?all=")
    assert len(response.context["cl"].result_list) == 50
    assert "showall" not in response.content.decode()


@pytest.mark.parametrize(
    ("page", "guess"),
    [
        ("messaging/message", "text__contains=secret"),
        ("messaging/message", "text__regex=^s"),
        ("messaging/message", "client_id=c1"),
        ("accounts/token", "digest__gte=a"),
        ("messaging/chat", "name__regex=(a%2B)%2B$"),
        ("accounts/user", "password__startswith=argon2"),
        ("accounts/user", "is_active__exact=1&display_name__contains=a"),
        ("moderation/case", "text__contains=secret"),
        ("audit/entry", "reason__contains=secret"),
        ("moderation/case", "kind__exact=%00"),
        ("archive/job", "state__exact=%00"),
    ],
)
def test_no_list_answers_guesses_at_what_it_does_not_show(browser, page, guess):
    response = browser.get(f"/admin/{page}/?{guess}")
    assert response.status_code == 400, response.content[:200]


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("accounts/user", "is_active__exact=0&is_staff__exact=1&q=a"),
        ("moderation/case", "state=mine&kind__exact=user&p=1"),
        ("archive/job", "kind__exact=backup&state__exact=done"),
        ("audit/entry", "action=ban&days=7"),
    ],
)
def test_a_list_s_own_filters_stay(browser, page, query):
    response = browser.get(f"/admin/{page}/?{query}")
    assert response.status_code == 200


@pytest.mark.parametrize("query", ["s=users", "s=users&page=x", "s=nothing&extended"])
def test_the_frame_brings_no_search_of_its_own(browser, query):
    assert browser.get(f"/admin/search/?{query}").status_code == 404


@pytest.mark.parametrize("chosen", ["x", "\0", "1", ""])
def test_an_action_on_rows_that_can_be_none_is_refused(browser, chosen):
    sent = {"action": "ban", "reason": "spam", "_selected_action": [chosen]}
    assert browser.post("/admin/accounts/user/", sent).status_code == 400


@pytest.mark.parametrize("view", ["change", "delete", "history"])
@pytest.mark.parametrize("nul", ["%00", "_00", "a%00b"])
@pytest.mark.parametrize("page", ["archive/archivekey", "accounts/user", "archive/job"])
def test_an_id_with_a_nul_is_one_that_no_row_has(browser, page, nul, view):
    response = browser.get(f"/admin/{page}/{nul}/{view}/")
    # Back to the start, which says that there is none; where nothing may be deleted, that.
    assert response.status_code == 302 or (view == "delete" and response.status_code == 403)
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize("order", ["1", "-2.1", ".".join(map(str, range(250)))])
def test_an_order_that_is_asked_for_is_not_even_read(browser, many, order):
    plain = browser.get("/admin/accounts/user/").context["cl"]
    response = browser.get(f"/admin/accounts/user/?o={order}")
    assert response.status_code == 200
    assert list(response.context["cl"].result_list) == list(plain.result_list)
    assert response.context["cl"].get_ordering_field_columns() == {}
