"""The archive key: what is written to the bucket is signed with it, and other keys come from it.

ARCHIVE_KEY is a ring: the first key signs, all of them verify. Who has the bucket and the ring can
bring the service back; who has the bucket alone can make nothing that a restore would take.

    signature = {key id}:{HMAC-SHA256 in hex}

A key's id follows from the key. Each purpose has a key of its own, derived by HKDF (RFC 5869)
with a text that names the purpose.
"""

import hmac
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_SALT = b"strata archive key"
_ID_BYTES = 4
_BLOCK_BYTES = 32


def ring() -> tuple[str, ...]:
    """Return the keys, the current one first; raises ImproperlyConfigured where there is none."""
    keys = tuple(settings.ARCHIVE_KEY)
    if not keys:
        raise ImproperlyConfigured(
            "ARCHIVE_KEY is not set: give a long random one, and keep a copy elsewhere."
        )
    return keys


@lru_cache(maxsize=256)
def hkdf(key: str, purpose: str) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869) of a key, for a purpose."""
    extracted = hmac.digest(_SALT, key.encode(), "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")[:_BLOCK_BYTES]


@lru_cache(maxsize=64)
def id_of(key: str) -> str:
    """Return a key's id, which tells nothing of the key."""
    return hkdf(key, "id")[:_ID_BYTES].hex()


def current_id() -> str:
    """Return the id of the key that signs."""
    return id_of(ring()[0])


def ids() -> list[str]:
    """Return the ids of all keys of the ring, the current one's first."""
    return [id_of(key) for key in ring()]


def derived(purpose: str) -> bytes:
    """Return the current key's 32 bytes for a purpose, a text such as `messaging.client_id`."""
    return hkdf(ring()[0], purpose)


def derived_all(purpose: str) -> list[bytes]:
    """Return each key's 32 bytes for a purpose, the current one's first.

    For what was made with an older key and must be recognised until it is made anew.
    """
    return [hkdf(key, purpose) for key in ring()]


def derived_of(key_id: str, purpose: str) -> bytes | None:
    """Return the 32 bytes for a purpose of the key with that id; None where the ring lacks it."""
    return next((hkdf(key, purpose) for key in ring() if id_of(key) == key_id), None)


def sign(purpose: str, text: str) -> str:
    """Return the current key's signature of a text, for a purpose."""
    key = ring()[0]
    return f"{id_of(key)}:{_mac(key, purpose, text)}"


def is_signed(signature: str, purpose: str, text: str) -> bool:
    """Say whether a signature of a text is that of a key of the ring."""
    key_id, _, given = signature.partition(":")
    key = next((key for key in ring() if id_of(key) == key_id), None)
    return key is not None and hmac.compare_digest(
        _mac(key, purpose, text).encode(), given.encode("utf-8", "surrogatepass")
    )


def key_id_of(signature: str) -> str:
    """Return the id of the key that a signature names."""
    return signature.partition(":")[0]


def _mac(key: str, purpose: str, text: str) -> str:
    return hmac.digest(hkdf(key, f"sign {purpose}"), text.encode(), "sha256").hex()
