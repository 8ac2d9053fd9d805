"""The moderators' pages for chats and messages: to look, not to touch.

As fast with a million messages as with ten: every list and every search walks an index, and stops.
There is none on the sender, since each send would pay for it; so a search by sender alone looks at
the end of the chats that they were in.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import names
from accounts.models import User
from common.admin import ReadOnlyModelAdmin
from common.database import rows
from common.ids import parse_id
from messaging.models import Chat, Membership, Message
from messaging.sql import read_sql

_SENT_LATELY = read_sql("sent_lately.sql")
CHATS_SEARCHED = 100
MESSAGES_SEARCHED = 500
FOUND_AT_MOST = 1000
MEMBERS_SHOWN = 1000
TEXT_SHOWN = 100


def users_called(text: str) -> list[UUID]:
    """Return the ids of the user of a name, in any case, or of an id: one or none."""
    user_id = parse_id(text)
    if user_id is not None:
        return [user_id]
    if "\x00" in text or not text.isprintable():
        return []
    return list(User.objects.filter(username_key=names.key(text)).values_list("pk", flat=True))


def ident(value: UUID | None, *, page: str = "") -> SafeString:
    """Return an id that one click selects, with a link to its page in the admin."""
    if value is None:
        return SafeString("-")
    try:
        link = format_html(' <a href="{}">open</a>', reverse(f"admin:{page}_change", args=[value]))
    except NoReverseMatch:
        link = SafeString()
    return format_html('<code class="id">{}</code>{}', value, link)


class LookAdmin(ReadOnlyModelAdmin):
    """For what is only looked at."""

    actions = None

    class Media:
        css = {"all": ("common/admin.css",)}


class ChatPages(LookAdmin):
    """The pages of chats of one kind or all."""

    list_display = [
        "id",
        "kind",
        "title",
        "last_seq",
        "member_count",
        "last_at",
        "created_at",
    ]
    list_select_related = ["low", "high"]
    search_fields = ("id",)
    search_help_text = "A chat's id, a group's whole name, or a member's whole username or id."
    fields = (
        *("id", "number", "kind", "title", "member_count", "start_seq", "last_seq", "last_at"),
        *("created_at", "wide_from", "its_messages", "members"),
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by index: the ids first, then their rows."""
        text = search_term.strip()
        if not text:
            return queryset, False
        user_ids = users_called(text)
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

    @admin.display(description="messages")
    def its_messages(self, chat: Chat) -> SafeString:
        """Return a link to the chat's messages."""
        url = reverse("admin:messaging_message_changelist")
        return format_html('<a href="{}?q={}">to its messages, newest first</a>', url, chat.pk)

    def _stretches(self, chat: Chat) -> list[Membership]:
        # Kept with the row, since the page's frame asks for each field more than once.
        if not hasattr(chat, "stretches_shown"):
            stretches = (
                Membership.objects.filter(chat=chat)
                .select_related("user")
                .order_by(F("last_seq").desc(nulls_first=True), "pk")[: MEMBERS_SHOWN + 1]
            )
            chat.stretches_shown = list(stretches)  # type: ignore[attr-defined]
        return chat.stretches_shown  # type: ignore[attr-defined,no-any-return]

    @admin.display
    def members(self, chat: Chat) -> SafeString:
        """Return who is in the chat, and was, from which seq to which."""
        shown = self._stretches(chat)
        lines = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (
                    member.user.username,
                    ident(member.user_id, page="accounts_user"),
                    member.role if member.last_seq is None else "left",
                    member.first_seq,
                    "-" if member.last_seq is None else member.last_seq,
                    f"{member.joined_at:%Y-%m-%d %H:%M:%S}",
                )
                for member in shown[:MEMBERS_SHOWN]
            ),
        )
        more = f"Only {MEMBERS_SHOWN} are shown." if len(shown) > MEMBERS_SHOWN else ""
        return format_html(
            '<div class="members"><table><thead><tr><th>username</th><th>user</th><th>role</th>'
            "<th>first seq</th><th>last seq</th><th>joined</th></tr></thead>"
            "<tbody>{}</tbody></table></div>{}",
            lines,
            more,
        )


@admin.register(Message)
class MessageAdmin(LookAdmin):
    """Find messages and read them."""

    list_display = ("place", "sent_at", "who", "kind", "shortened", "in_chat")
    list_display_links = ("place",)
    search_fields = ("chat",)
    search_help_text = (
        "A chat's id, a sender's whole username or id, or both. For a sender alone: among the last "
        f"{MESSAGES_SEARCHED} messages of each of the {CHATS_SEARCHED} chats of theirs that were "
        "last written to."
    )
    fields = ("in_chat", "seq", "who", "sent_by", "kind", "text", "sent_at", "client_id", "about")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all messages; whose they are is asked once for a whole page."""
        return super().get_queryset(request).prefetch_related("sender")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by index, see the head of this module."""
        words = search_term.split()
        chat_ids = [word for word in words if _is_chat(word)]
        others = [word for word in words if word not in chat_ids]
        if len(chat_ids) > 1 or len(others) > 1:
            self.message_user(request, "At most one chat and one sender.", messages.WARNING)
            return queryset.none(), False
        senders = users_called(others[0]) if others else []
        if others and not senders:
            return queryset.none(), False
        if chat_ids:
            # Within a chat the order of seqs is that of ids, and there is an index on it.
            found = queryset.filter(chat=chat_ids[0]).order_by("-seq")
            return (found.filter(sender=senders[0]) if senders else found), False
        if senders:
            lately = rows(
                _SENT_LATELY,
                {
                    "sender": senders[0],
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
    def shortened(self, message: Message) -> str:
        """Return the beginning of the text."""
        text = message.text
        return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]} …"

    @admin.display(description="sender")
    def who(self, message: Message) -> str:
        """Return the sender's name."""
        try:
            return message.sender.username
        except User.DoesNotExist:
            return "nobody any more"

    @admin.display(description="chat")
    def in_chat(self, message: Message) -> SafeString:
        """Return the chat's id."""
        return ident(message.chat_id, page="messaging_chat")

    @admin.display(description="sender's id")
    def sent_by(self, message: Message) -> SafeString:
        """Return the sender's id."""
        return ident(message.sender_id, page="accounts_user")

    @admin.display(description="about")
    def about(self, message: Message) -> SafeString:
        """Return the id of the user whose membership a system message is about."""
        return ident(message.subject_id, page="accounts_user")


def _is_chat(word: str) -> bool:
    """Whether a word is the id of a chat."""
    id_ = parse_id(word)
    return id_ is not None and Chat.objects.filter(pk=id_).exists()
