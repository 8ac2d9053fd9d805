"""The cache's scripts, and the constants that they and their callers agree on."""

from itertools import count
from os import getpid, urandom
from pathlib import Path

from django.conf import settings

from accounts.tokens import TOKEN_LUA
from common.cache import FRESH_LUA, ROOM_LUA, Script
from common.limits import LIMIT_LUA

INDEX_BELIEF_MS = 12_000
"""How old an index may be, in ms, before the database is asked.

With the longest transaction (5 s) it must stay below the cursor's margin (30 s), and below the
15 s within which a message whose sender died is to be delivered.
"""
MARGIN_MICROS = 30_000_000
"""How far T stays behind the newest message delivered, in µs: see `docs/cursor.md`."""
LEASE_MS = 10_000
"""How long a reader may take from its miss to its fill."""
FEW = 5
"""How many chats a first poll shows when none is active."""
MOST_CHATS = 2_000
"""How many chats an index is filled with at most."""

_LUA = Path(__file__).parent / "lua"


def life_seconds() -> int:
    """Return how long an entry outlives its last use: an active chat's is never gone."""
    return settings.ACTIVE_WINDOW_SECONDS + 600


class _Nonce:
    """Lease values that no two readers share, in no two processes."""

    def __init__(self) -> None:
        self._owner = 0
        self._prefix = b""
        self._numbers = count()

    def __call__(self) -> bytes:
        """Return the next one."""
        if self._owner != getpid():
            self._owner = getpid()
            self._prefix = b"%d.%b" % (self._owner, urandom(6).hex().encode())
        return b"%b.%d" % (self._prefix, next(self._numbers))


new_nonce = _Nonce()

_ASKING = (FRESH_LUA, LIMIT_LUA, TOKEN_LUA)
poll = Script(*_ASKING, _LUA / "keys.lua", _LUA / "poll.lua", when_full=True)
page = Script(*_ASKING, _LUA / "page.lua", when_full=True)
tell = Script(ROOM_LUA, _LUA / "keys.lua", _LUA / "tell.lua")
fill_index = Script(ROOM_LUA, _LUA / "keys.lua", _LUA / "index.lua")
read_lines = Script(_LUA / "read.lua")
take_lines = Script(ROOM_LUA, _LUA / "keys.lua", _LUA / "take.lua")
vouch = Script(_LUA / "vouch.lua", when_full=True)
forget = Script(_LUA / "forget.lua", when_full=True)
ages = Script(_LUA / "ages.lua")
note_mark = Script(_LUA / "mark.lua", when_full=True)
