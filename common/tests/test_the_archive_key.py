"""The archive key: a ring whose first key signs; what is derived from it for each purpose."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from common import archive_key

OLD, NEW = "an-old-key-0123456789-abcdefghij", "a-new-key-0123456789-abcdefghijk"


@pytest.fixture(autouse=True)
def _ring(settings):
    settings.ARCHIVE_KEY = [OLD]


def test_what_is_signed_names_the_key_and_verifies():
    signature = archive_key.sign("hour", "a text")
    assert signature.startswith(f"{archive_key.id_of(OLD)}:")
    assert archive_key.is_signed(signature, "hour", "a text")


@pytest.mark.parametrize(
    ("purpose", "text"), [("hour", "another text"), ("snapshot", "a text"), ("hour", "")]
)
def test_another_text_or_purpose_does_not(purpose, text):
    assert not archive_key.is_signed(archive_key.sign("hour", "a text"), purpose, text)


@pytest.mark.parametrize("signature", ["", ":", "a", "12345678:", "ü:\udcff", "é" * 80])
def test_what_is_no_signature_is_refused(signature):
    assert not archive_key.is_signed(signature, "hour", "a text")
    assert not archive_key.is_signed(f"{archive_key.id_of(OLD)}:{signature}", "hour", "a text")


def test_an_older_key_verifies_as_long_as_the_ring_has_it(settings):
    signature = archive_key.sign("hour", "a text")
    settings.ARCHIVE_KEY = [NEW, OLD]
    assert archive_key.is_signed(signature, "hour", "a text")
    assert archive_key.key_id_of(archive_key.sign("hour", "a text")) == archive_key.id_of(NEW)
    settings.ARCHIVE_KEY = [NEW]
    assert not archive_key.is_signed(signature, "hour", "a text")


def test_each_purpose_has_a_key_of_its_own(settings):
    assert archive_key.derived("one") != archive_key.derived("other")
    assert len(archive_key.derived("one")) == 32
    before = archive_key.derived("one")
    settings.ARCHIVE_KEY = [NEW, OLD]
    assert archive_key.derived_all("one") == [archive_key.derived("one"), before]
    assert archive_key.derived_of(archive_key.id_of(OLD), "one") == before
    assert archive_key.derived_of("00000000", "one") is None


def test_derived_keys_are_those_of_rfc_5869():
    """Its first case cut to 32 bytes has a salt of its own, so the steps are made by hand here."""
    import hashlib
    import hmac

    prk = hmac.new(b"strata archive key", OLD.encode(), hashlib.sha256).digest()
    okm = hmac.new(prk, b"one" + b"\x01", hashlib.sha256).digest()
    assert archive_key.derived("one") == okm


def test_without_a_key_nothing_is_signed(settings):
    settings.ARCHIVE_KEY = []
    with pytest.raises(ImproperlyConfigured, match="ARCHIVE_KEY is not set"):
        archive_key.sign("hour", "a text")
