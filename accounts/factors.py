"""The second factor of who may use the admin: a code of the moment, or a recovery code.

Devices and codes are django-otp's; what slows a guesser is `accounts.code_limits`. Until its first
code, a secret stands in the session that was shown it and nowhere else. Every change is recorded in
the audit log.
"""

import base64
import io
import time
from typing import Any

import qrcode
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django_otp import verify_token
from django_otp.models import Device
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from qrcode.image.svg import SvgPathFillImage

from accounts import rights
from accounts.code_limits import CodeAttempt
from accounts.models import PhoneDevice, RecoveryDevice, User
from audit import actors
from audit.models import Action
from audit.repeated import record_repeated
from audit.services import record
from common import archive_key
from common.limits import Throttled

RECOVERY_CODES = 10
CODE_DIGITS = 6
CODE_MAX_CHARS = 64
PENDING = "second_factor_shown"
SECRET_SECONDS = 15 * 60
"""How long a secret that was shown may be confirmed."""


def has_factor(user: User) -> bool:
    """Say whether a user has a second factor, and so must give it."""
    return bool(PhoneDevice.objects.filter(user=user, confirmed=True).exists())


def new_secret(request: HttpRequest) -> PhoneDevice:
    """Make a secret for who sends this request, and keep it in their session; one before is gone.

    It opens nothing until `confirm`. Unsaved, as it is returned.
    """
    user: Any = request.user
    device = PhoneDevice(user=user, name="phone")
    request.session[PENDING] = {
        "key": device.encrypted_key(),
        "of": user.get_session_auth_hash(),
        "at": int(time.time()),
    }
    return device


def shown_secret(request: HttpRequest) -> PhoneDevice | None:
    """Return the secret that this session was shown; None when that is long ago.

    Nor after a change of the password, which ends what was shown to whoever knew the one before.
    """
    user: Any = request.user
    kept = request.session.get(PENDING)
    if not isinstance(kept, dict) or time.time() - kept["at"] > SECRET_SECONDS:
        return None
    if not constant_time_compare(kept["of"], user.get_session_auth_hash()):
        return None
    return PhoneDevice(user=user, name="phone", key=kept["key"])


def confirm(request: HttpRequest, code: str) -> tuple[PhoneDevice, list[str]] | None:
    """Make the secret that was shown the second factor if the code is its own.

    Returns the device and its recovery codes, None when the code is wrong. A user who has a factor
    already gets no second one.
    """
    user: Any = request.user
    device = shown_secret(request)
    if device is None or not _is_digits(code):
        return None
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if has_factor(user):
            return None
        totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
        totp.time = time.time()
        if not totp.verify(int(code), device.tolerance):
            return None
        # The code that confirms it opens nothing more.
        device.last_t, device.drift = totp.t(), totp.drift
        device.save()
        codes = _new_codes(user)
        record(Action.SECOND_FACTOR, target=user, after={"second_factor": "enrolled"})
    del request.session[PENDING]
    return device, codes


def renew_recovery_codes(*, user: User) -> list[str]:
    """Give a user new recovery codes; the ones before end."""
    with transaction.atomic():
        codes = _new_codes(user)
        record(Action.SECOND_FACTOR, target=user, after={"second_factor": "new recovery codes"})
        return codes


def check(request: HttpRequest, code: str) -> Device | None:
    """Return the device that a code is of, None for a wrong one. Raises Throttled, NotCounted."""
    user: Any = request.user
    code = "".join(code[:CODE_MAX_CHARS].split()).replace("-", "").lower()
    is_of_phone = _is_digits(code)
    session = str(request.session.session_key)
    attempt = CodeAttempt(user, session, request.META, recovery=not is_of_phone)
    what = "code" if is_of_phone else "recovery code"
    try:
        attempt.begin()
    except Throttled as refused:
        record_repeated(Action.LOCKOUT, target=user, reason=str(refused.detail))
        raise
    device = _device(user, PhoneDevice if is_of_phone else RecoveryDevice)
    found = None
    if device is not None and code.isascii() and code.isalnum():
        found = verify_token(user, device.persistent_id, code)
    if found is None:
        said = {"second_factor": f"wrong {what}"}
        record_repeated(Action.SECOND_FACTOR, target=user, after=said)
        return None
    attempt.was_right()
    record(Action.SECOND_FACTOR, target=user, after={"second_factor": f"right {what}"})
    return found


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
        for kind in (PhoneDevice, RecoveryDevice):
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


def secret_of(device: PhoneDevice) -> str:
    """Return a device's secret as one types it: base32 in groups of four."""
    text = base64.b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def picture_of(device: PhoneDevice) -> str:
    """Return a device's secret as a QR code: the address of an image that holds itself."""
    image = qrcode.make(device.config_url, image_factory=SvgPathFillImage, border=4)
    out = io.BytesIO()
    image.save(out)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def _is_digits(code: str) -> bool:
    return len(code) == CODE_DIGITS and code.isascii() and code.isdecimal()


def _device(user: User, kind: Any) -> Any:
    return kind.objects.filter(user=user, confirmed=True).first()


def new_code() -> str:
    """Return a recovery code of `RECOVERY_CODE_CHARS`."""
    return str(StaticToken.random_token() + StaticToken.random_token())


def _new_codes(user: User) -> list[str]:
    device, _ = RecoveryDevice.objects.get_or_create(user=user, defaults={"name": "recovery"})
    device.token_set.all().delete()
    codes = [new_code() for _ in range(RECOVERY_CODES)]
    device.add(*codes)
    return ["-".join((code[:4], code[4:8], code[8:12], code[12:])) for code in codes]


def encrypt_secrets() -> int:
    """Encrypt secrets with the archive key that is current; return how many were not so yet."""
    count = 0
    current = f"{archive_key.current_id()}:"
    for device in PhoneDevice.objects.exclude(key__startswith=current).order_by("pk"):
        key = device.encrypted_key()
        count += PhoneDevice.objects.filter(pk=device.pk, key=device.key).update(key=key)
    return count
