"""The moderators' pages for groups: to look, and to do what `groups.moderating` does."""

from django.contrib import admin

from groups import deeds, panels
from groups.models import Group
from messaging.admin import ChatPages

deeds.offer_all()
panels.offer_all()


@admin.register(Group)
class GroupAdmin(ChatPages):
    """Find groups, see who is in them, freeze them, remove members."""

    list_display = ["title", "state", "member_count", "sent", "last_at", "created_at"]
    list_select_related = []
    search_help_text = "A group's id or whole name, or a member's whole username or id."
    empty_text = "There is no group yet."
