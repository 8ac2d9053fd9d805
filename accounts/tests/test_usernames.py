"""Which names are names, and which are the same."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from accounts import names, selectors, services
from accounts.models import User
from accounts.serializers import UsernameField
from accounts.tests.factories import make_user

letters = st.text(min_size=1, max_size=20)


def accepted(text):
    try:
        return UsernameField().run_validation(text)
    except ValidationError:
        return None


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "ada.lovelace+1@example-host_x",
        "Ада",
        "艾达",
        "आदा",
        "हिन्दी",
        "ไทยนิยม",
        "عائشة",
        "Zoë",
        "7",
        "x" * 64,
        "\U0001d7d8ne",
    ],
)
def test_names_of_all_scripts_are_names(name):
    assert accepted(name) == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        " ada",
        "ada\n",
        "ada\t",
        "a/b",
        "a\x00",
        "\ud800",
        "a\u200db",  # joins nothing that can be seen
        "a\u202eb",  # turns the direction of what follows
        "a\u3164",  # a letter that shows nothing
        "a\ufe0f",
        "\u0301a",  # a mark on nothing
        "🦢",
        "x" * 65,
        "\ufdfa" * 4,  # 18 characters each, once normalised
    ],
)
def test_what_can_not_be_seen_or_told_apart_is_no_name(name):
    assert accepted(name) is None


@given(letters)
def test_an_accepted_name_is_normal_and_short(text):
    name = accepted(text)
    if name is not None:
        assert unicodedata.is_normalized("NFKC", name)
        assert 1 <= len(name) <= names.USERNAME_MAX_CHARS


@given(letters)
def test_names_that_differ_by_case_or_form_have_one_key(text):
    key = names.key(text)
    assert names.key(key) == key
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert names.key(unicodedata.normalize(form, text)) == key
    assert names.key(text.casefold()) == key
    assert names.key(names.normal(text)) == key


def test_no_character_makes_a_key_too_long_for_its_column():
    longest = 0.0
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.category(character) in {"Cs", "Cn", "Co"}:
            continue
        normal = names.normal(character)
        longest = max(longest, len(names.key(normal)) / len(normal))
    assert longest * names.USERNAME_MAX_CHARS <= names.USERNAME_KEY_MAX_CHARS


@pytest.mark.django_db
@given(text=st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=64))
def test_every_accepted_name_can_be_saved_and_found_again(text):
    name = accepted(text)
    if name is None or selectors.username_taken(name):
        return
    user = services.create_user(username=name)
    user.refresh_from_db()
    assert user.username == name
    assert User.objects.get_by_natural_key(text.casefold()) == user


@pytest.mark.django_db
def test_a_bulk_insert_makes_keys_too():
    User.objects.bulk_create([User(username="Ada", display_name="Ada")])
    assert User.objects.get().username_key == "ada"


@pytest.mark.django_db
def test_a_new_name_makes_a_new_key():
    user = make_user("Ada")
    user.username = "Bob"
    user.save()
    assert User.objects.get(username_key="bob") == user
