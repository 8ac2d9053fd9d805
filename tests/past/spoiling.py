"""Objects spoilt in every way: readers get right lines or none, verify names them, and mends them."""

from __future__ import annotations

import gzip

from tests.contract.cache import flush
from tests.http import JSON
from tests.past.checks import Checks
from tests.past.stack import Object


class Spoiling(Checks):
    """What somebody who can write to the bucket does to it."""

    def damage(self) -> None:
        """Spoil objects in every way; readers get right lines or none, verify tells, then mends."""
        before = {each.key: each for each in map(self.stack.get, self.stack.hour_keys())}
        spoilt = self._spoil(before)
        flush(self.stack.live.environment()["REDIS_URL"])
        refused = self._read_damaged(spoilt)
        ended = self.stack.manage("verify", "--json")
        assert ended.status == 1, ended
        named = {key for key in before if key in ended.err}
        assert named == set(spoilt), (named ^ set(spoilt), spoilt)
        self.say(f"{len(spoilt)} objects spoilt and named, {refused} chats refused meanwhile")
        self.stack.do("verify", "--repair")
        after = {each.key: each for each in map(self.stack.get, self.stack.hour_keys())}
        assert after == before
        self.stack.do("verify")
        self.check_readers()

    def _spoil(self, objects: dict[str, Object]) -> dict[str, str]:
        """Spoil some objects, each of an hour and chat of its own, so that another copy is left."""
        by_hour: dict[str, list[str]] = {}
        for key in objects:
            by_hour.setdefault(key.partition("/")[2], []).append(key)
        copies = [keys for keys in by_hour.values() if len(keys) > 1]
        self.chance.shuffle(copies)
        spoilt: dict[str, str] = {}
        for keys in copies:
            # The one with the least: all of it is in the others' copies.
            keys.sort(key=lambda key: len(objects[key].messages))
            key, *others = keys
            held = {message["seq"] for message in objects[key].messages}
            whole = [
                other
                for other in others
                if held <= {message["seq"] for message in objects[other].messages}
            ]
            if whole and len(spoilt) < self.scale.damages:
                self._spoil_one(objects[key], [objects[other] for other in whole], spoilt)
        return spoilt

    def _spoil_one(self, held: Object, others: list[Object], spoilt: dict[str, str]) -> None:
        put, key, raw, way = self.stack.put, held.key, held.raw, len(spoilt) % 8
        if way == 0:
            how = "deleted"
            self.stack.delete(key)
        elif way == 1:
            how, place = "a bit flipped", len(raw) // 2
            put(key, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :], held)
        elif way == 2:
            how = "cut off"
            put(key, raw[: len(raw) // 2], held)
        elif way == 3:
            how = "a message left out"
            lines = held.plain.split(b"\n")[:-2]
            put(key, gzip.compress(b"".join(line + b"\n" for line in lines)), held)
        elif way == 4:
            how = "other metadata"
            wrong = {**held.metadata, "count": "1000000"}
            put(key, raw, Object(key, raw, wrong, held.content_type, held.content_encoding))
        elif way == 5:
            how, other = "another's", next((o for o in others if o.plain != held.plain), None)
            put(key, other.raw if other else b"", other or held)
        elif way == 6:
            how = "with something behind it"
            put(key, raw + gzip.compress(b"{}\n"), held)
        else:
            how = "emptied"
            put(key, b"", held)
            # Two swapped, where a third has all of both.
            one, *more = others
            if (
                len(more) > 1
                and one.plain != held.plain
                and one.metadata["count"] == more[-1].metadata["count"]
            ):
                how = spoilt[one.key] = "swapped"
                put(key, one.raw, one)
                put(one.key, raw, held)
        spoilt[key] = how

    def _read_damaged(self, spoilt: dict[str, str]) -> int:
        """Scroll where something is spoilt; return how often that was refused."""
        people = {person.user_id: person for person in self.town.people}
        chats = {chat.chat_id: chat for chat in self.town.chats}
        refused = 0
        for key in spoilt:
            user_id, _, _, _, chat_id = key.split("/")
            wanted = self.expected(chats[chat_id], user_id)
            url: str | None = f"/chats/{chat_id}/messages/?limit=9"
            got: list[JSON] = []
            while url is not None:
                page = people[user_id].get(url)
                if page.status == 503:
                    page.refused(503, "archive_unavailable")
                    refused += 1
                    break
                got = page.ok()["results"] + got
                url = page.body["next"]
            assert got == wanted[len(wanted) - len(got) :], "wrong lines"
            assert url is not None or got == wanted, "a history that ends early"
        return refused
