"""The moderators' pages for all chats, private ones and groups."""

from django.contrib import admin

from messaging.admin import ChatPages
from messaging.models import Chat


@admin.register(Chat)
class ChatAdmin(ChatPages):
    """Find chats, see who is in them, go to their messages."""
