"""A password is the same in whichever normal form a keyboard makes it (RFC 8265: NFC)."""

import time
import unicodedata

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts import passwords
from accounts.hashers import Argon2PasswordHasher
from accounts.models import User
from accounts.tests.factories import client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

COMPOSED = unicodedata.normalize("NFC", "sept cygnes d'été à Liège")
APART = unicodedata.normalize("NFD", COMPOSED)


def login(password, name="ada"):
    sent = {"username": name, "password": password}
    return client_of().post("/login", sent, format="json").status_code


def page_login(password, name="ada"):
    return Client().post("/browse/login/", {"username": name, "password": password}).status_code


@pytest.fixture
def hashes(monkeypatch):
    """How often something is hashed from now on."""
    found = []
    real = Argon2PasswordHasher.encode

    def encode(self, password, salt):
        found.append(password)
        return real(self, password, salt)

    def verify(self, password, encoded):
        found.append(password)
        return real_verify(self, password, encoded)

    real_verify = Argon2PasswordHasher.verify
    monkeypatch.setattr(Argon2PasswordHasher, "encode", encode)
    monkeypatch.setattr(Argon2PasswordHasher, "verify", verify)
    return found


@pytest.mark.parametrize("chosen", [COMPOSED, APART])
def test_it_opens_typed_either_way(chosen):
    sent = {"username": "ada", "password": chosen}
    assert client_of().post("/register", sent, format="json").status_code == 201
    for typed in (COMPOSED, APART):
        assert login(typed) == 200
        assert page_login(typed) == 302
    assert login("sept cygnes d'ete a Liege") == 401


def test_a_hash_of_before_goes_on_working():
    make_user("ada")
    User.objects.update(password=make_password(APART))
    assert login(APART) == 200
    assert page_login(APART) == 302
    assert login("wrong") == 401


@pytest.mark.parametrize("door", [login, page_login])
def test_a_name_that_nobody_has_hashes_as_often(door, hashes):
    make_user("ada", password=COMPOSED)
    for wrong in ("wrong", APART + "x"):
        counted = []
        for name in ("ada", "nobody"):
            hashes.clear()
            door(wrong, name)
            counted.append(len(hashes))
        assert counted[0] == counted[1] > 0


def test_what_is_too_long_is_not_normalised():
    marks = "a" + "\u0301\u0323" * 50_000
    began = time.process_time()
    assert passwords.normal(marks) == marks
    assert login(marks) == 400
    assert time.process_time() - began < 2


def test_the_longest_there_is_is_normalised_soon():
    marks = "\u0301\u0323" * (passwords.PASSWORD_MAX_CHARS // 2)
    began = time.process_time()
    passwords.normal(marks)
    assert time.process_time() - began < 0.05
