"""What the manifests in the bucket say, put together for a restore: which writing is current.

Each object that a restore takes is held against it: an older writing than the one that is named,
or one of a user whose archive was deleted, is refused. In the end the objects that were taken are
counted against what each hour is to hold.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

from archive import signed_objects
from archive.hours import Damaged, hour_path, parse_key
from archive.manifest_notes import MODULUS, SHARDS, shard_of, summand
from archive.manifests import folder, key_of_manifest, number_of
from archive.signatures import BEFORE, FIRST, Unsigned, generation_of, older
from archive.store import Missing, Store

Place = tuple[int, str]
"""A shard, and an hour as keys have it."""
SHOWN = 20


@dataclass(slots=True)
class Ledger:
    """What the manifests say, and what was seen of it."""

    unsigned: bool = False
    """Whether what nothing vouches for is taken all the same."""
    numbers: dict[int, int] = field(default_factory=dict)
    """Shard -> the newest manifest that was read."""
    until: str | None = None
    """Up to when all shards' manifests tell of what was written."""
    lacking: list[str] = field(default_factory=list)
    """The manifests that are not there, or not signed."""
    totals: dict[Place, tuple[int, int]] = field(default_factory=dict)
    named: dict[str, tuple[int, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Users whose objects are all gone."""
    _seen: dict[Place, tuple[int, int]] = field(default_factory=dict)
    _newer: set[Place] = field(default_factory=set)
    """Where something was written again since the manifests, so that they can't agree."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def trust(self, key: str, metadata: dict[str, str]) -> int:
        """Return an object's generation; raises Unsigned for one that is not to be taken."""
        try:
            return self._current(key, metadata)
        except Unsigned:
            if not self.unsigned:
                raise
        return BEFORE

    def _current(self, key: str, metadata: dict[str, str]) -> int:
        generation = generation_of(key, metadata)
        if key.partition("/")[0] in self.gone:
            raise Unsigned("its user's archive was deleted")
        current, sha256 = self.named.get(key, (FIRST, ""))
        if key in self.named and current < FIRST:
            raise Unsigned("it was deleted")
        if generation < current:
            raise Unsigned(older(generation, current))
        if generation == current and sha256 not in ("", metadata["sha256"]):
            raise Unsigned(f"it is another one than generation {current} was")
        if generation != current or generation == FIRST:
            self._note(key, metadata["sha256"], newer=generation != current)
        return generation

    def _note(self, key: str, sha256: str, *, newer: bool) -> None:
        parsed = parse_key(key)
        if parsed is None:
            return
        _, hour, chat_id = parsed
        place = (shard_of(chat_id), hour_path(hour))
        with self._lock:
            if newer:
                self._newer.add(place)
            else:
                _add(self._seen, place, 1, summand(key, sha256))

    def expect(self, numbers: dict[str, int]) -> None:
        """Take in which manifests there were when a snapshot was written; note those that lack."""
        for name, number in numbers.items():
            shard = int(name, SHARDS)
            for lacking in range(self.numbers.get(shard, 0) + 1, number + 1):
                self.lacking.append(f"{key_of_manifest(shard, lacking)}: it is not there")

    def agreement(self) -> dict[str, Any]:
        """Say whether what was taken is what the manifests count; after a whole restore."""
        differing = []
        for place in sorted({*self.totals, *self._seen} - self._newer):
            counted, seen = (totals.get(place, (0, 0)) for totals in (self.totals, self._seen))
            if counted != seen:
                shard, hour = place
                what = f"{seen[0]} are there" if seen[0] != counted[0] else "others are there"
                differing.append(f"{hour} shard {shard:x}: {counted[0]} were written, {what}")
        if not differing:
            return {"manifests_agree": "yes"}
        shown = "; ".join(differing[:SHOWN])
        return {"manifests_agree": f"no, in {len(differing)} places: {shown}"}

    def take(self, line: dict[str, Any], shard: int) -> None:
        """Take a manifest's line in; raises KeyError, ValueError for what is none."""
        if "hour" in line:
            place = (shard, str(line["hour"]))
            _add(self.totals, place, int(line["count"]), int(line["digest"], 16))
        elif "key" in line:
            key, generation = str(line["key"]), int(line["generation"])
            if key.endswith("/"):
                self.gone.add(key.removesuffix("/"))
            else:
                self.named[key] = (generation, str(line["sha256"]))


def _add(totals: dict[Place, tuple[int, int]], place: Place, count: int, digest: int) -> None:
    before = totals.get(place, (0, 0))
    totals[place] = (before[0] + count, (before[1] + digest) % MODULUS)


def read(store: Store, *, unsigned: bool = False) -> Ledger:
    """Read each shard's newest base that is right, and the manifests since."""
    ledger = Ledger(unsigned=unsigned)
    untils = [_read_shard(store, shard, ledger) for shard in range(SHARDS)]
    ledger.until = None if None in untils else min(filter(None, untils))
    return ledger


def _read_shard(store: Store, shard: int, ledger: Ledger) -> str | None:
    """Read a shard's manifests; return up to when they tell."""
    found = [one for key, _ in store.keys(folder(shard)) if (one := number_of(key)) is not None]
    numbers = {number for number, base in found if not base}
    last = max(numbers, default=0)
    begins, until = 0, None
    for number in sorted((number for number, base in found if base), reverse=True):
        lines = _lines(store, shard, number, ledger, base=True)
        if lines is not None:
            begins, until = number, lines[0].get("until")
            for line in lines[1:]:
                ledger.take(line, shard)
            break
    for number in range(begins + 1, last + 1):
        lines = _lines(store, shard, number, ledger)
        if lines is not None:
            until = lines[0].get("until")
            for line in lines[1:]:
                ledger.take(line, shard)
    ledger.numbers[shard] = max(begins, last)
    return until


def _lines(
    store: Store, shard: int, number: int, ledger: Ledger, *, base: bool = False
) -> list[dict[str, Any]] | None:
    """Return a manifest's lines, its head first; None, and noted, where it can't be trusted."""
    key = key_of_manifest(shard, number, base=base)
    try:
        return _checked(signed_objects.whole_lines(store, key), shard, number)
    except Missing:
        ledger.lacking.append(f"{key}: it is not there")
    except Damaged as error:
        ledger.lacking.append(f"{key}: {error}")
    return None


def _checked(lines: list[dict[str, Any]], shard: int, number: int) -> list[dict[str, Any]]:
    """Return a manifest's lines; raises Damaged for another one's, or none."""
    try:
        if (lines[0]["shard"], lines[0]["number"]) == (f"{shard:x}", number):
            return lines
    except (LookupError, TypeError) as error:
        raise Damaged("it is no manifest") from error
    raise Damaged("it is another one")
