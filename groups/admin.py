"""The moderators' pages for groups: to look, and to do what `groups.moderating` does."""

from django.contrib import admin

from groups import deeds
from groups.models import Group
from messaging.admin import ChatPages

deeds.offer_all()


@admin.register(Group)
class GroupAdmin(ChatPages):
    """Find groups and see who is in them."""

    list_display = ["id", "name", "member_count", "last_seq", "last_at", "created_at"]
    list_select_related = []
    fields = (*ChatPages.fields, "frozen_at", "frozen_reason")  # type: ignore[assignment]
    readonly_fields = fields  # type: ignore[assignment]
