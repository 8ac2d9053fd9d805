"""One rule for every name that people are shown: it is one line, goes one way, and can be seen."""

import pytest
from django.core.exceptions import ValidationError

from common.names import validate_name
from tests.core.people import Person

BREAKING = ["two\nlines", "a\r", "tab\t", "\x1b[31mred", "\x7f", "\x85", "a\u2028b", "a\u2029b"]
TURNING = ["a\u202eb", "\u202ab", "a\u2066b\u2069"]
UNSEEN = [" ", "\u3000", "\u200b", "\u200d\u2060", "\u3164", "\u2800", "\ufe0f", "\u0301", "\ufeff"]
RIGHT = [
    "Ada",
    " with blanks ",
    "Böte 🚣",
    "👩‍👩‍👧",
    "می‌خواهم",
    "עברית\u200f",
    "ไทย",
    "-",
    "$",
    "a\u200bb",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (BREAKING, "control_characters"),
        (TURNING, "direction_characters"),
        (UNSEEN, "shows_nothing"),
    ],
)
def test_what_is_refused_says_why(names, code):
    for name in names:
        with pytest.raises(ValidationError) as refusal:
            validate_name(name)
        assert refusal.value.code == code, name


def test_every_script_and_emoji_is_a_name():
    for name in RIGHT:
        validate_name(name)


@pytest.mark.django_db(transaction=True)
def test_groups_and_people_go_by_it():
    ada = Person("ada")
    for name in (*BREAKING, *TURNING, *UNSEEN):
        answer = ada.post("/create_group", name=name)
        assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "name"), name
        for field in ("display_name", "username"):
            body = {"username": "eve", "password": "correct horse battery", field: name}
            answer = ada.client.post("/register", body, format="json")
            assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, field), name
    for name in RIGHT:
        assert ada.post("/create_group", name=name).json()["name"] == name


@pytest.mark.django_db(transaction=True)
def test_a_name_of_before_stays_and_is_shown():
    ada, bob = Person("ada"), Person("bob")
    type(bob.user).objects.filter(pk=bob.id).update(display_name="\u200b")
    assert ada.client.get(f"/users/{bob.id}/").json()["display_name"] == "\u200b"
    assert bob.client.get("/users/me/").status_code == 200
