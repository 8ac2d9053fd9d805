"""Groups as the admin lists them: the chats that are one."""

from typing import ClassVar

from django.db import models

from messaging.models import Chat


class GroupManager(models.Manager["Group"]):
    """Groups alone."""

    def get_queryset(self) -> models.QuerySet["Group"]:
        """Return the chats that are groups."""
        return super().get_queryset().filter(kind=Chat.Kind.GROUP)


class Group(Chat):
    """A chat that is a group."""

    objects: ClassVar[GroupManager] = GroupManager()

    class Meta:
        proxy = True
