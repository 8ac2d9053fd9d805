"""After a database has gone back: which hour objects of the lost stretch contradict the log.

A backup meets those that it is about to write again. The others, of hours in which the older
database has nothing, are looked for once, by the first run after it: they would come between the
true ones in a restore.
"""

from collections.abc import Iterator
from uuid import UUID

from archive import contradicted
from archive.checking import repair_hour
from archive.hours import hour_from, hour_start, parse_key
from archive.locks import chat_lock
from archive.models import BackupRun, HourObject
from archive.runs import FAILURES, Tally
from archive.store import Missing, Store
from messaging.models import Chat, DatabaseReset


def lost_since() -> int | None:
    """Return the first hour of which something may be lost that no run has looked for; else None.

    A run that ended after the database was found to have gone back has done it.
    """
    last = BackupRun.objects.filter(finished_at__isnull=False, failed=0).order_by("-id").first()
    resets = DatabaseReset.objects.all()
    if last is not None:
        resets = resets.filter(at__gt=last.started_at)
    known = [reset.known_until for reset in resets]
    if not known:
        return None
    return 0 if None in known else hour_from(min(filter(None, known)))


def search(store: Store, since: int, tally: Tally) -> None:
    """Keep aside what contradicts the log from an hour on, and write again what the log has."""
    hours: set[int] = set()
    for key, (user_id, hour, chat_id) in _objects(store, since):
        tally.go_on()
        try:
            if _indexed(user_id, hour, chat_id):
                # Its place is written again from the log, and what was there is kept by that.
                hours.add(hour)
            else:
                _set_aside(store, key, chat_id)
        except Missing:
            continue
        except FAILURES as error:
            tally.fail(key, error)
    for hour in sorted(hours):
        repair_hour(hour, tally)


def _objects(store: Store, since: int) -> Iterator[tuple[str, tuple[UUID, int, UUID]]]:
    for key, _ in store.keys(""):
        parsed = parse_key(key)
        if parsed is not None and parsed[1] >= since:
            yield key, parsed


def _indexed(user_id: UUID, hour: int, chat_id: UUID) -> bool:
    return HourObject.objects.filter(
        user=user_id, segment__hour=hour_start(hour), segment__chat=chat_id
    ).exists()


def _set_aside(store: Store, key: str, chat_id: UUID) -> None:
    """Move an object that the index does not know, if it contradicts the log."""
    chat = Chat.objects.filter(pk=chat_id).first()
    if chat is None:
        # Nobody writes objects of a chat that there is not.
        if contradicted.keep_if_contradicted(store, key):
            store.delete([key])
        return
    with chat_lock(chat.number) as lock:
        if contradicted.keep_if_contradicted(store, key):
            lock.check()
            store.delete([key])
