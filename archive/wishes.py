"""Wishes to erase, kept in the bucket too: whoever restores from it alone must know of them.

    _system/erasures/messages/{chat_id}/{seq}    until the text is out of every copy
    _system/erasures/users/{user_id}/account     for ever: nothing is written for them again
    _system/erasures/users/{user_id}/texts       the same, and their texts go from others' copies

A wish is there before the database changes, so that there is no moment at which a loss of the
database brings an erased text back. Each is an object without content: its key says it all.
"""

from collections.abc import Iterator
from uuid import UUID

from archive.snapshot import PREFIX as SYSTEM
from archive.store import Store
from common.ids import parse_id
from common.numbers import whole_number

PREFIX = f"{SYSTEM}erasures/"
_MESSAGES = f"{PREFIX}messages/"
_USERS = f"{PREFIX}users/"


def note_message(store: Store, chat_id: UUID, seq: int) -> None:
    """Note that a message is to be erased; raises ArchiveUnavailable."""
    store.put_plain(f"{_MESSAGES}{chat_id}/{seq}", b"", {})


def forget_message(store: Store, chat_id: UUID, seq: int) -> None:
    """Note that a message's text is nowhere any more; raises ArchiveUnavailable."""
    store.delete([f"{_MESSAGES}{chat_id}/{seq}"])


def note_user(store: Store, user_id: UUID, *, texts: bool) -> None:
    """Note that a user is to be erased, and whether from others' copies too."""
    store.put_plain(f"{_USERS}{user_id}/{'texts' if texts else 'account'}", b"", {})


def messages(store: Store) -> Iterator[tuple[UUID, int]]:
    """Yield the messages that are to be erased; raises ArchiveUnavailable."""
    for key, _ in store.keys(_MESSAGES):
        chat, _, seq = key.removeprefix(_MESSAGES).partition("/")
        chat_id = parse_id(chat)
        if chat_id is not None and (number := whole_number(seq)) is not None:
            yield chat_id, number


def users(store: Store) -> dict[UUID, bool]:
    """Return the users that were erased, and whether their texts go from others' copies too."""
    found: dict[UUID, bool] = {}
    for key, _ in store.keys(_USERS):
        user, _, what = key.removeprefix(_USERS).partition("/")
        user_id = parse_id(user)
        if user_id is not None:
            found[user_id] = found.get(user_id, False) or what == "texts"
    return found
