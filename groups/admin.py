"""The moderators' pages for groups.

Nothing is changed here. What changes a group is in its log under the name of the member who did it
(`groups.services`), and a moderator is none.
"""

from django.contrib import admin

from groups.models import Group
from messaging.admin import ChatPages


@admin.register(Group)
class GroupAdmin(ChatPages):
    """Find groups and see who is in them."""

    list_display = ["id", "name", "member_count", "last_seq", "last_at", "created_at"]
    list_select_related = []
