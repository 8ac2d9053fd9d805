"""Short secrets, encrypted for where they are kept: AES-256-GCM with a key of the archive key.

    {key id}:{nonce and ciphertext in base64}

What is encrypted is bound to a purpose and to whatever it belongs to: put in another row's place it
can't be read.
"""

import base64
import binascii
import os

from common import archive_key

NONCE_BYTES = 12


class NotReadable(Exception):
    """What was encrypted was changed, is another's, or its key is not in ARCHIVE_KEY."""


def encrypt(plain: bytes, *, purpose: str, of: str) -> str:
    """Return what is kept of a secret that belongs to `of`."""
    # Here, as it takes 8 MB that a worker which shows no secret need not have.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(archive_key.derived(purpose)).encrypt(nonce, plain, of.encode())
    text = base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")
    return f"{archive_key.current_id()}:{text}"


def decrypt(kept: str, *, purpose: str, of: str) -> bytes:
    """Return the secret; raises NotReadable."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    key_id, _, text = kept.partition(":")
    key = archive_key.derived_of(key_id, purpose)
    if key is None:
        raise NotReadable(f"it is encrypted with {key_id}, which ARCHIVE_KEY does not have")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], of.encode())
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise NotReadable("it is not what was encrypted") from error


def is_current(kept: str) -> bool:
    """Say whether it is encrypted with the key that is current."""
    return kept.partition(":")[0] == archive_key.current_id()
