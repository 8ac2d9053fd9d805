"""Wishes to erase, kept in the bucket too: whoever restores from it alone must know of them.

    _system/erasures/messages/{chat_id}/{seq}    until the text is out of every copy
    _system/erasures/users/{user_id}/account     for ever: nothing is written for them again
    _system/erasures/users/{user_id}/texts       the same, and their texts go from others' copies

A wish is there before the database changes, so that there is no moment at which a loss of the
database brings an erased text back. Each is an object without content: its key says it all, and
its metadata hold the signature without which nothing is erased.
"""

import hashlib
import logging
from collections.abc import Iterator
from uuid import UUID

from archive import signed_objects
from archive.signatures import Unsigned
from archive.snapshot import PREFIX as SYSTEM
from archive.store import Missing, Store
from common.ids import parse_id
from common.numbers import whole_number

logger = logging.getLogger(__name__)
_OF_NOTHING = hashlib.sha256().hexdigest()
PREFIX = f"{SYSTEM}erasures/"
_MESSAGES = f"{PREFIX}messages/"
_USERS = f"{PREFIX}users/"


def note_message(store: Store, chat_id: UUID, seq: int) -> None:
    """Note that a message is to be erased; raises ArchiveUnavailable."""
    _note(store, f"{_MESSAGES}{chat_id}/{seq}")


def forget_message(store: Store, chat_id: UUID, seq: int) -> None:
    """Note that a message's text is nowhere any more; raises ArchiveUnavailable."""
    store.delete([f"{_MESSAGES}{chat_id}/{seq}"])


def note_user(store: Store, user_id: UUID, *, texts: bool) -> None:
    """Note that a user is to be erased, and whether from others' copies too."""
    _note(store, f"{_USERS}{user_id}/{'texts' if texts else 'account'}")


def _note(store: Store, key: str) -> None:
    store.put_plain(key, b"", signed_objects.metadata_of(key, 0, _OF_NOTHING))


def message_is_signed(store: Store, chat_id: UUID, seq: int) -> bool:
    """Say whether the wish to erase a message is ours; raises ArchiveUnavailable."""
    return _is_signed(store, f"{_MESSAGES}{chat_id}/{seq}")


def user_is_signed(store: Store, user_id: UUID, *, texts: bool) -> bool:
    """Say whether the wish to erase a user, or their texts too, is ours."""
    return _is_signed(store, f"{_USERS}{user_id}/{'texts' if texts else 'account'}")


def _is_signed(store: Store, key: str) -> bool:
    """Say whether a wish is signed: whoever can write to the bucket may not erase by it."""
    try:
        found = store.get(key)
        _ = b"".join(found.chunks)
        return signed_objects.digest_of(key, found.metadata) == _OF_NOTHING
    except (Missing, Unsigned) as error:
        logger.warning("%s is not honoured: %s", key, error)
        return False


def messages(store: Store) -> Iterator[tuple[UUID, int]]:
    """Yield the messages that are to be erased, signed or not; raises ArchiveUnavailable."""
    for key, _ in store.keys(_MESSAGES):
        chat, _, seq = key.removeprefix(_MESSAGES).partition("/")
        chat_id = parse_id(chat)
        if chat_id is not None and (number := whole_number(seq)) is not None:
            yield chat_id, number


def users(store: Store) -> dict[UUID, bool]:
    """Return the users that were erased, signed or not, and whether their texts go too."""
    found: dict[UUID, bool] = {}
    for key, _ in store.keys(_USERS):
        user, _, what = key.removeprefix(_USERS).partition("/")
        user_id = parse_id(user)
        if user_id is not None:
            found[user_id] = found.get(user_id, False) or what == "texts"
    return found


def signed_users(store: Store) -> Iterator[tuple[UUID, bool]]:
    """Yield the users whose erasure is signed, and whether that of their texts is."""
    for user_id, texts in users(store).items():
        if texts and user_is_signed(store, user_id, texts=True):
            yield user_id, True
        elif user_is_signed(store, user_id, texts=False):
            yield user_id, False
