"""Pages for people end long before 1 MiB and cost little, however long the texts on them are."""

import re
import time
from html import unescape

import pytest
from django.test import Client

from archive.tests.world import chat_of
from common import request_gate
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

HTML = {"Accept": "text/html"}
MEBIBYTE = 1024 * 1024
MOST_MS = 50.0
# What grows most when it is escaped for a page, in JSON, or as UTF-8.
RUNS = ["'", '"', "&", "\x01", "\U0001f40c", "x\n"]


@pytest.fixture(scope="module", params=RUNS, ids=ascii)
def long_text(request):
    return request.param * (4096 // len(request.param))


@pytest.fixture
def browser_and_chat(long_text):
    """The browser of somebody to whom 120 such messages were sent, and the chat's id."""
    ada, ben = Person(), Person()
    for _ in range(120):
        sent = ada.say(ben, long_text)
    browser = Client(headers=HTML)
    browser.force_login(ben.user)
    return browser, chat_of(sent)


def cheapest(ask):
    """Return the answer and the least CPU time of some tries, in ms."""
    used = []
    for _ in range(5):
        began = time.thread_time()
        answer = ask()
        used.append((time.thread_time() - began) * 1000)
    return answer, min(used)


def link(page, rel):
    found = re.search(f'rel="{rel}" href="([^"]+)"', page)
    return unescape(found.group(1)) if found else None


def test_a_page_of_long_texts_is_bounded_and_leads_to_all_of_them(browser_and_chat):
    browser, chat = browser_and_chat
    url = f"/chats/{chat}/messages/?limit=500"
    seen: list[int] = []
    while url:
        answer, used = cheapest(lambda url=url: browser.get(url))
        assert answer.status_code == 200
        assert len(answer.content) < MEBIBYTE / 2
        assert used <= MOST_MS
        page = answer.content.decode()
        seqs = re.findall(r'data-name="seq"><span>(\d+)<', page)
        assert 0 < len(seqs) <= 50
        seen = [*map(int, seqs), *seen]
        url = link(page, "next")
    assert seen == list(range(1, 121))


def test_an_answer_to_a_form_is_bounded(browser_and_chat):
    browser, _ = browser_and_chat
    answer, used = cheapest(
        lambda: browser.post("/get_messages", "limit=500", content_type=request_gate.FORM)
    )
    assert answer.status_code == 200
    assert len(answer.content) < MEBIBYTE / 2
    assert used <= MOST_MS
