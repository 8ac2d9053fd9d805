"""Usernames: what may be one, and when two are the same."""

import unicodedata

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.utils.deconstruct import deconstructible

from common.names import INVISIBLE, validate_name

USERNAME_MAX_CHARS = 64
DISPLAY_NAME_MAX_CHARS = 128
# Case folding makes at most three characters of one (U+0390 and its like, by Unicode's stability
# policy); one more for what NFKC may add. A test goes through all of Unicode.
USERNAME_KEY_MAX_CHARS = USERNAME_MAX_CHARS * 4
# A character is written in at most four (NFD, by Unicode's stability policy), so nothing longer is
# anybody's name. To normalise a text takes time by the square of its marks: nothing longer is.
SENT_MAX_CHARS = USERNAME_MAX_CHARS * 4


def normal(username: str) -> str:
    """Return a username as it is stored, NFKC as Django does; too long a text as it is."""
    if len(username) > SENT_MAX_CHARS:
        return username
    return unicodedata.normalize("NFKC", username)


def key(username: str) -> str:
    """Return what two usernames share when they differ only by case or compatibility form.

    NFKC ∘ casefold ∘ NFKC, again until nothing changes: for a few characters one round leaves
    something to fold, and a key must be its own key. A text too long for a name has a key that is
    nobody's: a piece of itself, longer than any key.
    """
    if len(username) > SENT_MAX_CHARS:
        return username[: USERNAME_KEY_MAX_CHARS + 1]
    before, after = "", username
    while before != after:
        before, after = after, normal(normal(after).casefold())
    return after


@deconstructible
class UsernameValidator(UnicodeUsernameValidator):
    """Django's rule, and the vowel signs and other marks that Hindi, Thai and others write with.

    Python counts marks as no part of a word, so that Django's rule alone refuses such names. A mark
    needs a character before it, and what shows nothing is refused.
    """

    def __call__(self, value: str | None) -> None:
        """Raise ValidationError (code `invalid`) for what is no username."""
        text = value or ""
        if len(text) > SENT_MAX_CHARS:
            raise ValidationError(self.message, code=self.code)
        if any(ord(character) in INVISIBLE for character in text):
            raise ValidationError(self.message, code=self.code)
        bare = [
            character
            for place, character in enumerate(text)
            if not (place and unicodedata.category(character) in {"Mn", "Mc"})
        ]
        super().__call__("".join(bare))


def validate_display_name(value: str) -> None:
    """Raise ValidationError for what is no name to show, by the rule for all names."""
    validate_name(value)
