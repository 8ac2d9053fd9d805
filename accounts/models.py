"""Users, their tokens, and whom they block."""

import base64
import hashlib
import logging
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import names, passwords
from accounts.sessions import SessionStore
from common.encryption import NotReadable, decrypt, encrypt, is_current
from common.ids import new_id

DIGEST_BYTES = 32
logger = logging.getLogger(__name__)


if TYPE_CHECKING:
    # Django's fields are generic for the type checker only.
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class UsernameKeyField(_CharField):
    """The key of the username, made on each save, bulk ones included, so that none can lack it."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return the key of the username that is about to be saved."""
        value = names.key(model_instance.username)  # type: ignore[attr-defined]
        setattr(model_instance, self.attname, value)
        return value


class UserManager(BaseUserManager["User"]):
    """Makes users and finds them by name without regard to case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user of that name in any case or compatibility form (login uses this)."""
        return self.get(username_key=names.key(username or ""))

    def create_user(
        self,
        username: str,
        password: str | None = None,
        *,
        display_name: str = "",
        **extra: Any,
    ) -> "User":
        """Save and return a new user; without a password, a token is the only way in.

        Raises IntegrityError when the name is taken.
        """
        user = self.model(username=names.normal(username), **extra)
        user.display_name = display_name or user.username
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **extra: Any) -> "User":
        """Save and return a new user who may do everything in the admin."""
        extra |= {"is_staff": True, "is_superuser": True}
        return self.create_user(username, password, **extra)


class User(AbstractBaseUser, PermissionsMixin):
    """An account."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    username = models.CharField(
        max_length=names.USERNAME_MAX_CHARS, validators=[names.UsernameValidator()]
    )
    username_key = UsernameKeyField(
        max_length=names.USERNAME_KEY_MAX_CHARS, unique=True, editable=False
    )
    display_name = models.CharField(
        max_length=names.DISPLAY_NAME_MAX_CHARS,
        blank=True,
        validators=[names.validate_display_name],
        help_text="What others see; the username when left empty.",
    )
    is_active = models.BooleanField("active", default=True, help_text="A banned user is not.")
    banned_at = models.DateTimeField(null=True, blank=True, editable=False)
    banned_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the ban ends by itself."
    )
    ban_reason = models.TextField(blank=True, default="", db_default="", editable=False)
    session_epoch = models.IntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Raised to end every browser session begun before.",
    )
    is_staff = models.BooleanField("staff", default=False, help_text="May use the admin.")
    date_joined = models.DateTimeField(db_default=Now(), editable=False)

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        indexes: ClassVar = [
            # The few among the many, for the admin's filters.
            models.Index(
                fields=["-id"], name="accounts_user_banned", condition=models.Q(is_active=False)
            ),
            models.Index(
                fields=["-id"], name="accounts_user_staff", condition=models.Q(is_staff=True)
            ),
            models.Index(
                fields=["banned_until"],
                name="accounts_user_ban_ends",
                condition=models.Q(banned_until__isnull=False),
            ),
        ]
        permissions: ClassVar = [("reset_password", "Can set another user's password")]
        constraints: ClassVar = [
            # The key is the stronger of the two; Django asks for this one of a login name.
            models.UniqueConstraint(fields=["username"], name="accounts_user_username"),
        ]

    def __str__(self) -> str:
        return self.username

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; who has no display name is shown by the username."""
        self.display_name = self.display_name or self.username
        super().save(*args, **kwargs)

    def set_password(self, raw_password: str | None) -> None:
        """Keep the hash of a password in its normal form; None for no password."""
        super().set_password(None if raw_password is None else passwords.normal(raw_password))

    def check_password(self, raw_password: str) -> bool:
        """Say whether it is this user's password, in whichever normal form it is typed."""
        return any(
            super(User, self).check_password(one) for one in passwords.spellings(raw_password)
        )

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session must carry to be this user's: it ends with password and epoch."""
        if not self.session_epoch:
            return str(super()._get_session_auth_hash(secret))  # type: ignore[misc]
        value = f"{self.session_epoch}:{self.password}"
        salt = "accounts.models.User.session"
        return salted_hmac(salt, value, secret=secret, algorithm="sha256").hexdigest()

    def get_full_name(self) -> str:
        """Return what others see."""
        return self.display_name

    def get_short_name(self) -> str:
        """Return what others see."""
        return self.display_name


class Token(models.Model):
    """A bearer token, by its digest: the token itself is known to its holder alone.

    A row is never deleted while its token could still be in the cache, hence PROTECT: whoever
    deletes users has to revoke first.
    """

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(max_length=DIGEST_BYTES, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tokens")
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                "revoked_at",
                name="accounts_token_revoked",
                condition=models.Q(revoked_at__isnull=False),
            ),
            models.Index(
                "expires_at",
                name="accounts_token_expires",
                condition=models.Q(expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"a token of {self.user}"


class BrowserSession(AbstractBaseSession):
    """A session of a browser: Django's columns, and whose it is once somebody has logged in."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, related_name="sessions", db_index=False
    )

    class Meta:
        verbose_name = "session"
        verbose_name_plural = "sessions"
        indexes: ClassVar = [
            models.Index(
                fields=["user", "-expire_date"],
                name="accounts_session_user",
                condition=models.Q(user__isnull=False),
            ),
        ]

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        """Return what reads and writes it."""
        return SessionStore


class Block(models.Model):
    """One user blocks another. What that means is one rule, in messaging."""

    id = models.BigAutoField(primary_key=True)
    blocker = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="blocks", db_index=False
    )
    blocked = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="blocked_by", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["blocker", "blocked"], name="accounts_block_pair"),
            models.CheckConstraint(
                condition=~models.Q(blocker=models.F("blocked")), name="accounts_block_not_self"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["blocked", "blocker"], name="accounts_block_reverse"),
            # The list of one's blocks, newest first.
            models.Index(fields=["blocker", "-id"], name="accounts_block_list"),
        ]

    def __str__(self) -> str:
        return f"{self.blocker} blocks {self.blocked}"


class PhoneDevice(TOTPDevice):  # type: ignore[misc]  # django-otp has no types
    """A second factor whose secret is encrypted: who reads the database alone can make no codes."""

    class Meta:
        proxy = True

    PURPOSE: ClassVar = "accounts.second_factor"

    @property
    def bin_key(self) -> bytes:
        """Return the secret; raises NotReadable where the archive key is another's."""
        if ":" not in self.key:
            # As it was made, before it is saved.
            return bytes(super().bin_key)
        return decrypt(self.key, purpose=self.PURPOSE, of=str(self.user_id))

    def encrypted_key(self) -> str:
        """Return the secret as it is kept, with the key that is current."""
        if ":" in self.key and is_current(self.key):
            return str(self.key)
        return encrypt(self.bin_key, purpose=self.PURPOSE, of=str(self.user_id))

    def verify_token(self, token: Any) -> bool:
        """Say whether a code is right; none is where the secret can't be read."""
        try:
            return bool(super().verify_token(token))
        except NotReadable as error:
            logger.error("the second factor of user %s can't be used: %s", self.user_id, error)  # noqa: TRY400
            return False

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the secret encrypted."""
        self.key = self.encrypted_key()
        super().save(*args, **kwargs)


RECOVERY_CODE_CHARS = 16
"""Of 32 different ones: 80 bits, which nobody finds from a digest."""


def kept_code(user_id: UUID, code: str) -> str:
    """Return what is kept of a recovery code: a digest that fits django-otp's 16 characters."""
    digest = hashlib.sha256(f"strata recovery code {user_id} {code}".encode()).digest()
    return "!" + base64.urlsafe_b64encode(digest[:11]).decode().rstrip("=")


class RecoveryDevice(StaticDevice):  # type: ignore[misc]  # django-otp has no types
    """Recovery codes, of which digests are kept: who reads the database alone has none."""

    class Meta:
        proxy = True

    def add(self, *codes: str) -> None:
        """Take codes that open once each."""
        StaticToken.objects.bulk_create(
            StaticToken(device=self, token=kept_code(self.user_id, code)) for code in codes
        )

    def verify_token(self, token: Any) -> bool:
        """Say whether a code is one of them; it is none from then on."""
        return bool(super().verify_token(kept_code(self.user_id, str(token))))
