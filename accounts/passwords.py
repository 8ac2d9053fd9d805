"""Passwords in one normal form, so that one typed on another keyboard is the same (RFC 8265: NFC).

Hashes of before were made of what was sent; `spellings` has that too, so that they go on working.
"""

import unicodedata

from django.contrib.auth.hashers import make_password

PASSWORD_MAX_CHARS = 1024
"""Hashing a text takes time in proportion to its length, normalising it in proportion to the square
of its run of combining marks: what is longer is no password."""


def normal(password: str) -> str:
    """Return a password in NFC; one that is too long as it is, for its length refuses it."""
    if len(password) > PASSWORD_MAX_CHARS:
        return password
    return unicodedata.normalize("NFC", password)


def spellings(password: str) -> tuple[str, ...]:
    """Return what a hash may have been made of when somebody types this, likeliest first."""
    normalised = normal(password)
    return (normalised,) if normalised == password else (normalised, password)


def hash_for_nobody(password: str) -> None:
    """Take as long as to see that a password is wrong, where there is no user to have one."""
    for spelling in spellings(password):
        make_password(spelling)
