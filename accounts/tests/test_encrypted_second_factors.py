"""What opens a second factor: nowhere in the database in plain, and bound to its user."""

import importlib

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import factors
from accounts.models import RECOVERY_CODE_CHARS, PhoneDevice, RecoveryDevice, kept_code
from common import archive_key
from common.encryption import NotReadable

pytestmark = pytest.mark.django_db
NEW = "the-next-archive-key-0123456789-abc"


@pytest.fixture
def device():
    user = get_user_model().objects.create_user("ada", "correct horse battery")
    return PhoneDevice.objects.create(user=user, name="phone", confirmed=True)


def kept(device):
    return TOTPDevice.objects.get(pk=device.pk).key


def test_what_is_kept_is_not_the_secret_and_its_codes_are_right(device):
    secret = device.bin_key
    assert len(secret) == 20
    assert secret.hex() not in kept(device)
    assert kept(device).startswith(f"{archive_key.current_id()}:")
    assert len(kept(device)) <= 80
    again = PhoneDevice.objects.get(pk=device.pk)
    assert again.bin_key == secret
    assert again.verify_token(TOTP(secret).token())


def test_a_code_that_was_used_leaves_the_secret_as_it_is_kept(device):
    before = kept(device)
    assert PhoneDevice.objects.get(pk=device.pk).verify_token(TOTP(device.bin_key).token())
    assert kept(device) == before


def test_anothers_secret_opens_nothing(device):
    other = get_user_model().objects.create_user("bob", "correct horse battery")
    PhoneDevice.objects.filter(pk=device.pk).update(user=other)
    with pytest.raises(NotReadable):
        PhoneDevice.objects.get(pk=device.pk).bin_key  # noqa: B018


@pytest.mark.parametrize("place", [9, 40, -1])
def test_a_changed_one_is_refused(device, place):
    text = kept(device)
    place %= len(text)
    changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
    PhoneDevice.objects.filter(pk=device.pk).update(key=changed)
    with pytest.raises(NotReadable):
        PhoneDevice.objects.get(pk=device.pk).bin_key  # noqa: B018


def test_a_new_archive_key_takes_them_over(device, settings):
    secret, old = device.bin_key, settings.ARCHIVE_KEY
    settings.ARCHIVE_KEY = [NEW, *old]
    assert PhoneDevice.objects.get(pk=device.pk).bin_key == secret
    assert factors.encrypt_secrets() == 1
    settings.ARCHIVE_KEY = [NEW]
    assert PhoneDevice.objects.get(pk=device.pk).bin_key == secret
    assert factors.encrypt_secrets() == 0
    settings.ARCHIVE_KEY = old
    with pytest.raises(NotReadable, match="does not have"):
        PhoneDevice.objects.get(pk=device.pk).bin_key  # noqa: B018


def test_the_migration_encrypts_those_that_are_there_and_takes_it_back(device):
    migration = importlib.import_module("accounts.migrations.0006_encrypted_second_factors")
    secret = device.bin_key
    TOTPDevice.objects.filter(pk=device.pk).update(key=secret.hex())
    with connection.schema_editor() as editor:
        migration.encrypt(apps, editor)
        assert kept(device).startswith(f"{archive_key.current_id()}:")
        assert PhoneDevice.objects.get(pk=device.pk).bin_key == secret
        migration.decrypt(apps, editor)
        assert kept(device) == secret.hex()


class Editor:
    connection = connection


# Recovery codes -----------------------------------------------------------------------------------


@pytest.fixture
def recovery():
    user = get_user_model().objects.create_user("eve", "correct horse battery")
    return RecoveryDevice.objects.create(user=user, name="recovery", confirmed=True)


def test_of_recovery_codes_digests_are_kept_bound_to_their_user(recovery):
    code = factors.new_code()
    assert len(code) == RECOVERY_CODE_CHARS
    recovery.add(code)
    kept_as = StaticToken.objects.get().token
    assert code not in kept_as
    assert len(kept_as) <= 16
    other = get_user_model().objects.create_user("bob", "correct horse battery")
    assert kept_code(other.pk, code) != kept_as
    # What is kept opens nothing itself, and a code opens once.
    assert not RecoveryDevice.objects.get().verify_token(kept_as)
    StaticDevice.objects.update(throttling_failure_timestamp=None, throttling_failure_count=0)
    assert RecoveryDevice.objects.get().verify_token(code)
    assert not RecoveryDevice.objects.get().verify_token(code)


def test_the_migration_digests_the_codes_that_are_there(recovery):
    StaticToken.objects.create(device=recovery, token="abcdefgh2345abcd")
    migration = importlib.import_module("accounts.migrations.0007_recovery_codes_as_digests")
    for _ in range(2):
        migration.digest(apps, Editor())
        assert StaticToken.objects.get().token == kept_code(recovery.user_id, "abcdefgh2345abcd")
    assert RecoveryDevice.objects.get().verify_token("abcdefgh2345abcd")
