"""The moderators' pages for chats and messages: to look at, and to find what has to be done about.

What somebody wrote is shown by none of them: it is read through a report, or on a page of its own
that records each reading, what is private for a reason (`moderation.glass`).

As fast with a million messages as with ten: every list and every search walks an index, and stops.
There is none on the sender, since each send would pay for it; so a search by sender alone looks at
the end of the chats that they were in.
"""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from common.admin import ReadOnlyModelAdmin
from common.database import rows
from common.deeds import link, tag
from common.ids import parse_id
from messaging import panels, search
from messaging.models import Chat, DatabaseReset, Membership, Message
from messaging.sql import read_sql

_SENT_LATELY = read_sql("sent_lately.sql")
CHATS_SEARCHED = 100
MESSAGES_SEARCHED = 500
FOUND_AT_MOST = 1000


class LookAdmin(ReadOnlyModelAdmin):
    """For what is only looked at."""

    actions = None


class ChatPages(LookAdmin):
    """The pages of chats of one kind or all."""

    list_display = ["title", "kind", "state", "member_count", "sent", "last_at", "created_at"]
    list_select_related = ["low", "high"]
    search_fields = ("id",)
    search_help_text = "A chat's id, a group's whole name, or a member's whole username or id."
    fields = (
        *("title", "kind", "state", "member_count", "sent", "where", "last_at", "created_at"),
        *("its_messages", "whole_id"),
    )
    readonly_fields = fields

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Lead to the list of messages those who may open it."""
        if request.user.has_perm("messaging.view_message"):
            return self.fields
        return [field for field in self.fields if field != "its_messages"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by index: the ids first, then their rows."""
        text = search_term.strip()
        if not text:
            return queryset, False
        user_ids = search.users_called(text)
        found = set(
            Membership.objects.filter(user__in=user_ids)
            .order_by("-chat")
            .values_list("chat_id", flat=True)[:FOUND_AT_MOST]
        )
        if chat_id := parse_id(text):
            found.add(chat_id)
        elif "\x00" not in text:
            groups = Chat.objects.filter(kind=Chat.Kind.GROUP, name=text).order_by("-pk")
            found.update(groups.values_list("pk", flat=True)[:FOUND_AT_MOST])
        return queryset.filter(pk__in=found), False

    @admin.display(description="name")
    def title(self, chat: Chat) -> str:
        """Return a group's name, or who the two users are."""
        if chat.kind == Chat.Kind.GROUP:
            return chat.name
        return f"{chat.low} and {chat.high}"

    @admin.display(description="state")
    def state(self, chat: Chat) -> SafeString:
        """Return whether a moderator has frozen it, and why."""
        if chat.frozen_at is None:
            return tag("open", "good")
        frozen = tag(f"frozen since {chat.frozen_at:%Y-%m-%d %H:%M}", "warn")
        return format_html("{} {}", frozen, chat.frozen_reason)

    @admin.display(description="messages")
    def sent(self, chat: Chat) -> str:
        """Return how many messages it has had."""
        return f"{chat.last_seq:,}"

    @admin.display(description="kept")
    def where(self, chat: Chat) -> str:
        """Return which of its messages are where."""
        if chat.last_seq == 0:
            return "nothing yet"
        gone = f"#1 to #{chat.start_seq - 1} are past retention; " if chat.start_seq > 1 else ""
        cold = (
            f"#{chat.start_seq} to #{chat.db_seq - 1} are in cold storage; "
            if chat.db_seq > chat.start_seq
            else ""
        )
        first = max(chat.db_seq, chat.start_seq)
        return f"{gone}{cold}#{first} to #{chat.last_seq} are in the database"

    @admin.display(description="id")
    def whole_id(self, chat: Chat) -> SafeString:
        """Return the id, which one click takes."""
        return format_html('<code class="id">{}</code>', chat.pk)

    @admin.display(description="list of messages")
    def its_messages(self, chat: Chat) -> SafeString:
        """Return a link to the chat's messages."""
        url = reverse("admin:messaging_message_changelist")
        return format_html('<a href="{}?q={}">Those in the database</a>', url, chat.pk)


panels.offer_all()


@admin.register(Message)
class MessageAdmin(LookAdmin):
    """Find messages: who wrote when and where, not what."""

    list_display = ("place", "sent_at", "who", "kind", "words", "in_chat")
    list_display_links = ("place",)
    empty_text = "Nobody has written anything yet."
    search_fields = ("chat",)
    search_help_text = (
        "A chat's id, a sender's whole username or id, or both. With a chat also #12 for one "
        "message, or a time, UTC: 2026-11-24, 2026-11-24T09, 2026-11-24T09:30. For a sender alone: "
        f"among the last {MESSAGES_SEARCHED} messages of each of the {CHATS_SEARCHED} chats of "
        "theirs that were last written to."
    )
    fields = ("in_chat", "seq", "who", "kind", "words", "sent_at", "about")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all messages with their chats; whose they are is asked once for a whole page."""
        messages = super().get_queryset(request).select_related("chat__low", "chat__high")
        return messages.prefetch_related("sender")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by index, see the head of this module."""
        sought = search.understood(search_term)
        if sought.problem:
            self.message_user(request, sought.problem, messages.WARNING)
            return queryset.none(), False
        if sought.nobody:
            return queryset.none(), False
        if sought.chat:
            # Within a chat the order of seqs is that of ids, and there is an index on it.
            found = queryset.filter(chat=sought.chat).order_by("-seq")
            if sought.seqs:
                found = found.filter(seq__range=sought.seqs)
            return (found.filter(sender=sought.sender) if sought.sender else found), False
        if sought.sender:
            lately = rows(
                _SENT_LATELY,
                {
                    "sender": sought.sender,
                    "chats": CHATS_SEARCHED,
                    "messages": MESSAGES_SEARCHED,
                    "most": FOUND_AT_MOST,
                },
            )
            return queryset.filter(pk__in=[id_ for (id_,) in lately]), False
        return queryset, False

    @admin.display(description="seq")
    def place(self, message: Message) -> str:
        """Return the message's place in its chat."""
        return f"#{message.seq}"

    @admin.display(description="text")
    def words(self, message: Message) -> str | SafeString:
        """Return what a system message says; what somebody wrote is read elsewhere, and recorded.

        Nobody reads it here, superusers included: a group's on its page, what is private through
        broken glass.
        """
        if message.kind == Message.Kind.REMOVED:
            return tag("removed", "")
        if message.kind != Message.Kind.TEXT:
            return message.text
        chat = _chat_of(message)
        private = chat is None or chat.kind == Chat.Kind.PRIVATE
        return tag("private", "warn") if private else tag("in a group", "")

    @admin.display(description="sender")
    def who(self, message: Message) -> SafeString | str:
        """Return the sender's name."""
        try:
            return format_html("{}", panels.user_link(message.sender))
        except User.DoesNotExist:
            return "nobody any more"

    @admin.display(description="chat")
    def in_chat(self, message: Message) -> SafeString | str:
        """Return the chat by its name, as a link."""
        chat = _chat_of(message)
        if chat is None:
            return str(message.chat_id)
        name = chat.name or f"{chat.low} and {chat.high}"
        return link(name, reverse("admin:messaging_chat_change", args=[chat.pk]))

    @admin.display(description="about")
    def about(self, message: Message) -> SafeString | str | None:
        """Return the user whose membership a system message is about."""
        try:
            return format_html("{}", panels.user_link(message.subject)) if message.subject else None
        except User.DoesNotExist:
            return "nobody any more"


def _chat_of(message: Message) -> Chat | None:
    try:
        return message.chat
    except Chat.DoesNotExist:
        return None


@admin.register(DatabaseReset)
class DatabaseResetAdmin(LookAdmin):
    """Each time that the database was found to have gone back, for the operators."""

    list_display = ("at", "why", "known_until", "number", "seen", "epoch")
    empty_text = "The database has never been found to have gone back in time."

    @admin.display(description="how it showed")
    def why(self, reset: DatabaseReset) -> SafeString:
        """Return how it showed."""
        return tag(reset.get_cause_display(), "bad")
