"""The second factor of who may use the admin: a code of the moment, or a recovery code.

Devices, codes and what slows a guesser are django-otp's: each wrong code doubles the wait for the
next. Every change is recorded in the audit log.
"""

import base64
import io
from typing import Any

import qrcode
from django.db import transaction
from django.utils import timezone
from django_otp import verify_token
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode.image.svg import SvgPathFillImage

from accounts import rights
from accounts.models import User
from audit import actors
from audit.models import Action
from audit.services import record

RECOVERY_CODES = 10
CODE_DIGITS = 6


def has_factor(user: User) -> bool:
    """Say whether a user has a second factor, and so must give it."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def pending(user: User) -> TOTPDevice:
    """Return the device that a user is about to confirm; it opens nothing until they have.

    The same one until then, so that the page may be loaded again after it was scanned.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        device: TOTPDevice | None = TOTPDevice.objects.filter(user=user, confirmed=False).first()
        if device is None:
            device = TOTPDevice.objects.create(user=user, name="phone", confirmed=False)
        return device


def confirm(*, user: User, code: str) -> list[str] | None:
    """Make the pending device the second factor if the code is its own; return recovery codes.

    None when the code is wrong. A user who has a factor already gets no second one.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
        if device is None or has_factor(user) or not device.verify_token(code):
            return None
        device.confirmed = True
        device.save(update_fields=["confirmed"])
        codes = _new_codes(user)
        record(Action.SECOND_FACTOR, target=user, after={"second_factor": "enrolled"})
        return codes


def renew_recovery_codes(*, user: User) -> list[str]:
    """Give a user new recovery codes; the ones before end."""
    with transaction.atomic():
        codes = _new_codes(user)
        record(Action.SECOND_FACTOR, target=user, after={"second_factor": "new recovery codes"})
        return codes


def check(*, user: User, code: str) -> Device | None:
    """Return the device that a code is of, None for a wrong one, or while the user has to wait."""
    code = "".join(code.split()).replace("-", "").lower()
    is_of_phone = len(code) == CODE_DIGITS and code.isdecimal()
    device = _device(user, TOTPDevice if is_of_phone else StaticDevice)
    found = verify_token(user, device.persistent_id, code) if device is not None else None
    what = "code" if is_of_phone else "recovery code"
    said = f"right {what}" if found is not None else f"wrong {what}"
    record(Action.SECOND_FACTOR, target=user, after={"second_factor": said})
    return found


def wait_seconds(user: User) -> int:
    """Return how long a user has to wait before the next code is looked at."""
    longest = 0.0
    for kind in (TOTPDevice, StaticDevice):
        device = _device(user, kind)
        if device is not None:
            allowed, why = device.verify_is_allowed()
            if not allowed and why and "locked_until" in why:
                left = (why["locked_until"] - timezone.now()).total_seconds()
                longest = max(longest, left)
    return -int(-longest // 1)


def reset(*, user: User, reason: str = "") -> int:
    """Take a user's second factor away, as when a phone is lost; return how many devices went.

    Raises NotYours, NotToThem: superusers alone do so, and to others; so do commands.
    """
    by = actors.current()
    rights.require_superuser(by)
    if not rights.above(by, user):
        raise rights.NotToThem
    with transaction.atomic():
        gone = 0
        for kind in (TOTPDevice, StaticDevice):
            gone += kind.objects.filter(user=user).count()
            kind.objects.filter(user=user).delete()
        if gone:
            record(
                Action.SECOND_FACTOR,
                target=user,
                reason=reason,
                after={"second_factor": "taken away"},
            )
        return gone


def codes_left(user: User) -> int:
    """Return how many recovery codes a user has not used."""
    return int(StaticToken.objects.filter(device__user=user).count())


def secret_of(device: TOTPDevice) -> str:
    """Return a device's secret as one types it: base32 in groups of four."""
    text = base64.b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def picture_of(device: TOTPDevice) -> str:
    """Return a device's secret as a QR code: the address of an image that holds itself."""
    image = qrcode.make(device.config_url, image_factory=SvgPathFillImage, border=4)
    out = io.BytesIO()
    image.save(out)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def _device(user: User, kind: Any) -> Any:
    return kind.objects.filter(user=user, confirmed=True).first()


def _new_codes(user: User) -> list[str]:
    device, _ = StaticDevice.objects.get_or_create(user=user, defaults={"name": "recovery"})
    device.token_set.all().delete()
    codes = [StaticToken.random_token() + StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return ["-".join((code[:4], code[4:8], code[8:12], code[12:])) for code in codes]
