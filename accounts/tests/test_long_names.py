"""A text far too long for a name costs next to nothing, at every door that asks for a name."""

import time
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts import names, selectors
from accounts.models import User

pytestmark = pytest.mark.django_db

# Normalising these takes time by the square of their number: 12 s for 256 KiB of them.
MARKS = "\u0301\u0316" * 100_000
MOST_SECONDS = 0.25


def seconds(act: Callable[[], Any]) -> float:
    """Return the CPU time of the quicker of two tries, less what loading modules takes."""
    found = []
    for _ in range(2):
        started = time.thread_time()
        act()
        found.append(time.thread_time() - started)
    return min(found)


@pytest.mark.parametrize("path", ["/register", "/login"])
def test_a_verb_refuses_it_for_its_length(path: str) -> None:
    client = APIClient()
    body = {"username": "a" + MARKS, "password": "a long sentence"}
    answers = []
    assert seconds(lambda: answers.append(client.post(path, body))) < MOST_SECONDS
    assert answers[0].status_code == 400
    assert [(one["attr"], one["code"]) for one in answers[0].json()["errors"]] == [
        ("username", "max_length")
    ]


@pytest.mark.parametrize("path", ["/browse/login/", "/admin/login/"])
def test_the_pages_logins_refuse_it(path: str) -> None:
    client = Client()
    form = {"username": "a" + MARKS, "password": "a long sentence"}
    answers = []
    assert seconds(lambda: answers.append(client.post(path, form))) < MOST_SECONDS
    assert answers[0].status_code == 200
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("command", ["reset_second_factor", "grant"])
def test_commands_say_that_nobody_is_called_so(command: str) -> None:
    more = ["--reason", "x"] if command == "reset_second_factor" else ["moderator"]

    def run() -> None:
        with pytest.raises((CommandError, SystemExit)):
            call_command(command, "a" + MARKS, *more, stderr=StringIO())

    assert seconds(run) < MOST_SECONDS


def test_a_search_finds_nobody() -> None:
    User.objects.create_user("a" * 64)
    long = "a" * 300
    assert not selectors.search_users(User.objects.all(), long).exists()
    assert not selectors.username_taken(long)


@pytest.mark.parametrize("act", [names.normal, names.key])
def test_a_key_of_it_is_nobodys(act: Callable[[str], str]) -> None:
    assert seconds(lambda: act(MARKS)) < MOST_SECONDS
    assert len(act(MARKS)) > names.USERNAME_KEY_MAX_CHARS
    assert names.key(names.key(MARKS)) == names.key(MARKS)


def test_the_rules_do_not_look_at_all_of_it() -> None:
    rules: list[Callable[[str], None]] = [names.UsernameValidator(), names.validate_display_name]
    for rule in rules:
        assert seconds(partial(_refused, rule, "\n" + MARKS)) < MOST_SECONDS


def _refused(rule: Callable[[str], None], text: str) -> None:
    with pytest.raises(ValidationError):
        rule(text)


def test_a_name_written_with_its_marks_apart_is_still_a_name() -> None:
    # Each of these 64 characters is four when its marks stand apart, the most that there are.
    name = "\u1f82" * 64
    apart = "\u03b1\u0313\u0300\u0345" * 64
    assert len(apart) == names.SENT_MAX_CHARS
    answer = APIClient().post("/register", {"username": apart})
    assert answer.status_code == 201
    assert answer.json()["username"] == name
    assert APIClient().post("/register", {"username": apart + "a"}).status_code == 400
