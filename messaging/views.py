"""The routes of the core: polling, and scrolling through a chat's history."""

from collections.abc import Sequence
from contextlib import suppress
from time import time
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import tokens
from accounts.authentication import admit_token, authenticate_token, refuse_token
from common.cache import CacheUnavailable
from common.context import current
from common.counts import Histogram
from common.database_identity import believed_ms
from common.errors import ArchiveUnavailable, DatabaseUnavailable, NotFound, Refusal, Unavailable
from common.ids import parse_id
from common.limits import POLLS, READS, Asked, headers_of
from common.numbers import whole_number
from common.pagination import shown_limit
from common.quick import Quick, json_response, plain_body
from common.renderers import dumps
from common.schema import refusal
from common.views import caller_id
from messaging import cursor as cursors
from messaging import history, index, scripts
from messaging.cursor import Cursor
from messaging.history import View
from messaging.inbox import Answer, after_cache, catch_up, first_poll
from messaging.planning import ChatNews
from messaging.quick_verb import QuickVerb
from messaging.serializers import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    PAGE_LIMIT,
    GetMessagesSerializer,
    MessageSerializer,
    PageQuerySerializer,
    PageSerializer,
    PollSerializer,
)
from messaging.tiers import Chat
from messaging.wire import ANSWER_MAX_BYTES, unpack_lines

MAX_DIGITS = 18
SERVED_FROM = "X-Served-From"
"""The header that names the slowest tier which an answer had to ask."""
SERVED_FROM_HEADER = OpenApiParameter(
    SERVED_FROM,
    enum=["cache", "database", "archive"],
    location=OpenApiParameter.HEADER,
    response=[200],
    description="The slowest tier that had to be asked.",
)
CURSOR_AGE = Histogram(
    "strata_cursor_age_seconds",
    "How far the cursors of polls are behind; half a minute is what the newest are.",
    bounds=(35, 60, 120, 300, 900, 3600, 21_600, 86_400, 604_800, 2_592_000, 7_776_000),
)
_note_age = CURSOR_AGE.observer()


def shown(answer: Answer, viewer: bytes) -> dict[str, Any]:
    """Return a poll's answer as JSON data; the messages go in as the JSON they are kept as."""
    chats = sorted(
        answer.chats, key=lambda chat: chat.lines[-1].at if chat.lines else 0, reverse=True
    )
    return {
        "chats": [
            {
                "chat_id": str(chat.id),
                "kind": chat.kind,
                "name": chat.name,
                "start": chat.start,
                "end": chat.end,
                "messages": [orjson.Fragment(line.seen_by(viewer)) for line in chat.lines],
            }
            for chat in chats
        ],
        "cursor": answer.text,
        "has_more": answer.has_more,
        "reset": answer.reset,
    }


class GetMessagesView(QuickVerb):
    """What is new to you since your cursor; without one, your active chats' latest messages.

    Poll at least once a minute with the cursor of the last answer. A client that does receives
    every message of its chats exactly once and, within a chat, in the order of seq.
    """

    serializer_class = GetMessagesSerializer
    limit = POLLS
    sample = {"limit": DEFAULT_LIMIT}

    @extend_schema(
        operation_id="get_messages",
        parameters=[SERVED_FROM_HEADER],
        responses={200: PollSerializer, 503: refusal(DatabaseUnavailable, ArchiveUnavailable)},
    )
    def post(self, request: Request) -> Response:
        """Poll."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        user_id = caller_id(request)
        limit = body.validated_data["limit"] or DEFAULT_LIMIT
        text = body.validated_data.get("cursor")
        if text is not None:
            cursor = cursors.decode_own(text, user_id)
            _note_age(time() - cursor.at / 1e6)
            answer = catch_up(cursor, limit)
        else:
            lease = index.take_lease(user_id)
            answer = first_poll(user_id, limit)
            if lease:
                index.fill(user_id, *lease, answer.cursor.epoch)
        data = shown(answer, str(user_id).encode())
        return Response(data, headers={SERVED_FROM: answer.served_from})

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a cursor that is none."""
        text = body.get("cursor")
        if text is not None and cursors.decode_or_none(text) is None:
            cursors.refuse()

    def quick(self, request: HttpRequest, token: str, **path: Any) -> HttpResponse | None:
        """Answer a poll that has a cursor: one round trip to the cache when nothing is new."""
        body = plain_body(request)
        asked = None if body is None else _plain_poll(body)
        if asked is None:
            if body != {}:
                self.refuse_body(request, token)
            return None
        text, cursor, limit = asked
        try:
            found, lease = _ask_cache(cursor, token, POLLS.asked(request.META))
        except CacheUnavailable:
            return None
        if found[0] == b"who" or found[0] == b"other":
            return None
        current.user_id = cursor.user_id
        _note_age(time() - cursor.at / 1e6)
        headers = headers_of(POLLS, found[2])
        if found[0] == b"idle":
            headers[SERVED_FROM] = "cache"
            return json_response(
                b'{"chats":[],"cursor":"%b","has_more":false,"reset":false}' % text.encode(),
                headers=headers,
            )
        viewer: bytes = found[1]
        answer = _from_cache(cursor, limit, found) if found[0] == b"news" else None
        if answer is None:
            answer = catch_up(cursor, limit)
            if found[0] == b"refill":
                index.fill(cursor.user_id, lease, int(found[3]), answer.cursor.epoch)
        headers[SERVED_FROM] = answer.served_from
        return json_response(dumps(shown(answer, viewer)), headers=headers)


def _plain_poll(body: dict[str, Any]) -> tuple[str, Cursor, int] | None:
    """Return what a poll that goes on from a cursor asks for, None where it may be another."""
    text, limit = body.get("cursor"), body.get("limit", DEFAULT_LIMIT)
    if type(text) is not str or type(limit) is not int or not 0 < limit <= MAX_LIMIT:
        return None
    cursor = cursors.decode_or_none(text)
    return None if cursor is None or cursor.shown_until else (text, cursor, limit)


def _ask_cache(cursor: Cursor, token: str, limit: Asked) -> tuple[Sequence[Any], bytes]:
    """Run the poll's script; a token that the cache does not know is looked up and tried again."""
    nonce = scripts.new_nonce()
    token_digest = tokens.digest(token)
    if token_digest in tokens.unknown:
        refuse_token(token)
    keys = (tokens.entry_key(token_digest), "fresh")
    args: list[Any] = [
        believed_ms(tokens.TOKEN_BELIEF_MS), believed_ms(scripts.INDEX_BELIEF_MS), nonce,
        scripts.LEASE_MS, scripts.life_seconds(),
        tokens.signed(token_digest, str(cursor.user_id).encode()),
        cursor.epoch, cursor.at, MAX_LIMIT, ANSWER_MAX_BYTES, *limit,
    ]  # fmt: skip
    for number, position in cursor.positions.items():
        args += (number, position)
    found = scripts.poll(keys, args)
    if found[0] == b"who":
        if authenticate_token(token) is None:
            refuse_token(token)
        else:
            found = scripts.poll(keys, args)
    return found, nonce


def _from_cache(cursor: Cursor, limit: int, found: Sequence[Any]) -> Answer | None:
    """Return the answer that the cache's news make; None when the database must be asked."""
    viewer = found[1]
    chats: dict[int, ChatNews] = {}
    frontier = int(found[3]) if found[3] else None
    room = ANSWER_MAX_BYTES
    for number, id_, kind, start, end, name, first, *packed in found[4:]:
        lines = unpack_lines(int(first), packed, room)
        if len(lines) < len(packed):
            # There is no room for the rest: nothing of it is dated at or before the frontier.
            told = lines[-1].at if lines else cursor.position(int(number))
            frontier = told if frontier is None else min(told, frontier)
            if not lines:
                continue
        room -= sum([len(line.body) for line in lines])
        if any(line.subject == viewer for line in lines):
            # Their own coming or going is among them: only the database knows their stretches.
            return None
        chats[int(number)] = ChatNews(
            UUID(id_.decode()), int(number), kind.decode(), name.decode(),
            int(start), int(end), lines,
        )  # fmt: skip
    return after_cache(cursor, limit, chats, frontier)


class HistoryView(Quick, GenericAPIView[Any]):
    """A chat's messages, oldest first: the latest page, or one before or after a seq.

    `next` leads to older messages, through all tiers. `X-Served-From` names the slowest tier that
    had to be asked.
    """

    serializer_class = MessageSerializer
    quick_method = "GET"

    @extend_schema(
        operation_id="chat_messages",
        parameters=[PageQuerySerializer, SERVED_FROM_HEADER],
        responses={200: PageSerializer, 503: refusal(DatabaseUnavailable, ArchiveUnavailable)},
    )
    def get(self, request: Request, chat_id: str) -> Response:
        """Return a page."""
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        user_id = caller_id(request)
        wanted = parse_id(chat_id)
        if wanted is None:
            raise NotFound
        asked = query.validated_data
        asked["limit"] = shown_limit(asked["limit"], request)
        page = history.page(history.view(wanted, user_id), **asked)
        return Response(
            shown_page(page, str(user_id).encode(), request, asked["limit"]),
            headers={SERVED_FROM: page.served_from},
        )

    def quick(self, request: HttpRequest, token: str, **path: Any) -> HttpResponse | None:
        """Answer a page whose query is certainly right: from the cache, if it has it whole."""
        chat_id, asked = parse_id(path["chat_id"]), _plain_page(request)
        if chat_id is None or asked is None:
            return None
        token_digest = tokens.digest(token)
        if token_digest in tokens.unknown:
            refuse_token(token)
        keys = (tokens.entry_key(token_digest), "fresh")
        args = (
            *2 * [believed_ms(tokens.TOKEN_BELIEF_MS)], str(chat_id),
            "" if asked.before is None else asked.before,
            "" if asked.after is None else asked.after,
            asked.limit, ANSWER_MAX_BYTES, *READS.asked(request.META),
        )  # fmt: skip
        try:
            found = scripts.page(keys, args)
        except CacheUnavailable:
            return None
        viewer = None if found[0] == b"who" else tokens.user_of(token_digest, found[1])
        if viewer is None:
            return self._ask_database(request, token, chat_id, asked)
        current.user_id = UUID(viewer.decode())
        headers = headers_of(READS, found[2])
        page = None
        if found[0] == b"page":
            # The chat's start may have moved; if not, the database's answer is the same refusal.
            with suppress(Unavailable):
                page = _page_from_cache(chat_id, [found[0], viewer, *found[2:]], asked)
        if page is None:
            page = _page_from_database(chat_id, viewer, headers, asked)
        return _page_response(page, viewer, request, headers, asked.limit)

    def _ask_database(
        self, request: HttpRequest, token: str, chat_id: UUID, asked: "_AskedPage"
    ) -> HttpResponse | None:
        """Answer a page to a token that the cache does not know."""
        user_id, taken = admit_token(token, READS, request.META)
        if user_id is None:
            refuse_token(token)
            return None
        headers = {}
        if taken is not None:
            taken.check()
            headers = taken.headers()
        viewer = str(user_id).encode()
        page = _page_from_database(chat_id, viewer, headers, asked)
        return _page_response(page, viewer, request, headers, asked.limit)


class _AskedPage(NamedTuple):
    """Which page is asked for: `before` or `after` a seq, or neither for the latest."""

    before: int | None
    after: int | None
    limit: int


def _plain_page(request: HttpRequest) -> _AskedPage | None:
    """Return which page a query asks for, None where it may be wrong."""
    asked: dict[str, int | None] = {"before": None, "after": None, "limit": PAGE_LIMIT}
    for name, value in request.GET.items():
        number = whole_number(value) if len(value) <= MAX_DIGITS else None
        if name not in asked or number is None or number < 0:
            return None
        asked[name] = number
    before, after, limit = asked["before"], asked["after"], asked["limit"] or 0
    if not 0 < limit <= MAX_LIMIT or None not in (before, after):
        return None
    return _AskedPage(before, after, limit)


def _page_response(
    page: history.Page, viewer: bytes, request: HttpRequest, headers: dict[str, str], limit: int
) -> HttpResponse:
    """Return a page as an answer."""
    headers[SERVED_FROM] = page.served_from
    return json_response(dumps(shown_page(page, viewer, request, limit)), headers=headers)


def _page_from_database(
    chat_id: UUID, viewer: bytes, headers: dict[str, str], asked: _AskedPage
) -> history.Page:
    """Return a page that the cache does not show whole; a refusal gets the headers too."""
    before, after, limit = asked
    try:
        shown = history.view(chat_id, UUID(viewer.decode()))
        return history.page(shown, before=before, after=after, limit=limit)
    except Refusal as refused:
        refused.headers = {**refused.headers, **headers}
        raise


def _page_from_cache(chat_id: UUID, found: Sequence[Any], asked: _AskedPage) -> history.Page | None:
    """Return a page of a chat whose list the cache gave; None when the database must be asked."""
    before, after, limit = asked
    _, viewer, _, number, first_seq, start, end, low, *packed = found
    last = int(end)
    held = unpack_lines(int(low), packed, ANSWER_MAX_BYTES, newest_first=after is None)
    chat = Chat(chat_id, int(number))
    first = max(int(first_seq), int(start))
    user_id = UUID(viewer.decode())
    shown = View(chat, user_id, [(first, last)])
    spans = shown.spans(before, after, limit)
    if not spans or (spans[0].first == first and int(first_seq) > 1):
        # Before the seq at which they joined there may be an earlier stretch.
        return None
    reading = history.reading_of(shown, spans, after)
    reading.add(chat, held)
    reading.slowest = "cache"
    return history.page_of(shown, reading, skip=1)


def shown_page(page: history.Page, viewer: bytes, request: Any, limit: int) -> dict[str, Any]:
    """Return a page as JSON data, with links to its neighbours."""
    url = request.build_absolute_uri(request.path)
    lines = page.lines
    return {
        "next": f"{url}?before={lines[0].seq}&limit={limit}" if page.older and lines else None,
        "previous": f"{url}?after={lines[-1].seq}&limit={limit}" if page.newer and lines else None,
        "results": [orjson.Fragment(line.seen_by(viewer)) for line in lines],
    }
