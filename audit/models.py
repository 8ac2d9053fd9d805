"""The audit log's one table. It names people and things in plain columns, and outlives them."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

HASH_BYTES = 32
NAME_MAX_CHARS = 160
KIND_MAX_CHARS = 32


class Action(models.TextChoices):
    """What was done. The column takes any text, so that a new action needs no migration."""

    LOGIN = "login", "logged in"
    LOGIN_FAILED = "login_failed", "failed to log in"
    LOGOUT = "logout", "logged out"
    WRONG_PASSWORD = "wrong_password", "gave a wrong password"
    SECOND_FACTOR = "second_factor", "changed a second factor"
    LOCKOUT = "lockout", "was locked out"
    REPEATED = "repeated", "did more from many addresses than is told apart"
    LOCKOUT_LIFTED = "lockout_lifted", "lifted a lockout"

    ADMIN_ADD = "admin_add", "added in the admin"
    ADMIN_CHANGE = "admin_change", "changed in the admin"
    ADMIN_DELETE = "admin_delete", "deleted in the admin"

    CREATE_USER = "create_user", "created a user"
    BAN = "ban", "banned"
    UNBAN = "unban", "lifted a ban"
    BAN_ENDED = "ban_ended", "saw a ban end"
    REVOKE_TOKENS = "revoke_tokens", "revoked tokens"
    RESET_PASSWORD = "reset_password", "reset a password"
    CHANGE_PASSWORD = "change_password", "changed their password"
    CHANGE_ROLE = "change_role", "changed a role"
    ERASE_USER = "erase_user", "erased a user"
    LIFT_BLOCK = "lift_block", "lifted a block"

    REDACT = "redact", "redacted a message"
    FREEZE = "freeze", "froze a group"
    UNFREEZE = "unfreeze", "unfroze a group"
    REMOVE_MEMBER = "remove_member", "removed a member"

    CASE_READ = "case_read", "read a reported message"
    CASE_TAKEN = "case_taken", "took a report"
    CASE_RELEASED = "case_released", "gave a report back"
    CASE_RESOLVED = "case_resolved", "resolved a report"
    CASE_DISMISSED = "case_dismissed", "dismissed a report"
    CASE_REOPENED = "case_reopened", "opened a report again"

    BREAK_GLASS = "break_glass", "broke the glass"
    BREAK_GLASS_READ = "break_glass_read", "read through broken glass"
    BREAK_GLASS_CLOSED = "break_glass_closed", "closed broken glass"
    CHAT_READ = "chat_read", "read a chat"

    BACKUP = "backup", "ran a backup"
    VERIFY = "verify", "ran a check of the archive"
    TRIM = "trim", "ran a trim"
    PURGE = "purge", "ran a purge"
    RESTORE = "restore", "ran a restore"
    DRILL = "drill", "ran a drill"

    KEY_SHOWN = "key_shown", "showed the archive key"
    KEY_KEPT = "key_kept", "confirmed that the archive key is kept elsewhere"

    DATABASE_WENT_BACK = "database_went_back", "found that the database had gone back in time"

    COMMAND = "command", "ran a command past the services"

    EXPORT_AUDIT = "export_audit", "exported the audit log"


class ActorKind(models.TextChoices):
    """What kind of doer."""

    USER = "user", "user"
    COMMAND = "command", "command"
    TASK = "task", "task"
    NOBODY = "nobody", "nobody known"


class Entry(models.Model):
    """One thing that was done. The database numbers, dates and chains it, and refuses any change.

    See `sql/chain.sql` and docs/moderation.md.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now(), editable=False)
    actor_kind = models.CharField(max_length=7, choices=ActorKind)
    actor_id = models.UUIDField(null=True, blank=True)
    actor_name = models.CharField(
        max_length=NAME_MAX_CHARS, help_text="A username, the system's user, or the task's name."
    )
    address = models.CharField(max_length=45, blank=True, default="", help_text="From where.")
    action = models.CharField(max_length=KIND_MAX_CHARS)
    target_kind = models.CharField(max_length=KIND_MAX_CHARS, blank=True, default="")
    target_id = models.CharField(max_length=NAME_MAX_CHARS, blank=True, default="")
    target_name = models.CharField(max_length=NAME_MAX_CHARS, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    session = models.CharField(
        max_length=16, blank=True, default="", help_text="A digest of the session, not its key."
    )
    request_id = models.CharField(max_length=64, blank=True, default="")
    previous = models.BinaryField(max_length=HASH_BYTES, default=b"", editable=False)
    hash = models.BinaryField(max_length=HASH_BYTES, default=b"", editable=False)

    class Meta:
        verbose_name = "entry"
        verbose_name_plural = "entries"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["actor_id", "-id"], name="audit_by_actor"),
            models.Index(fields=["actor_name", "-id"], name="audit_by_actor_name"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["target_id", "-id"], name="audit_by_target"),
            models.Index(fields=["target_name", "-id"], name="audit_by_target_name"),
            models.Index(fields=["address", "-id"], name="audit_by_address"),
            models.Index(fields=["at"], name="audit_by_time"),
        ]
        constraints: ClassVar = [
            # Should the lock ever fail to keep writers apart, the second one fails instead.
            models.UniqueConstraint(fields=["previous"], name="the_chain_has_no_fork"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.actor_name} {self.get_action_display()}"

    def get_action_display(self) -> str:
        """Return what was done in words."""
        return str(Action(self.action).label) if self.action in Action.values else self.action
