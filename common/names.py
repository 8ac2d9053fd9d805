"""What any name must be that people are shown: of a user, of a group."""

import unicodedata

from django.core.exceptions import ValidationError

# What shows nothing: letters and marks (Hangul fillers, joiners, variation selectors), and the
# pattern of braille that has no dot.
INVISIBLE = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164),
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
# Embeddings, overrides and isolates, which turn around what stands beside a name.
_TURNING = frozenset([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
_SHOWN = frozenset("LNPS")


def validate_name(value: str) -> None:
    """Raise ValidationError for a name that breaks lines, turns text around, or shows nothing."""
    if any(unicodedata.category(character) in _BREAKING for character in value):
        raise ValidationError(
            "A name can't hold line breaks or other control characters.", code="control_characters"
        )
    if any(ord(character) in _TURNING for character in value):
        raise ValidationError(
            "A name can't hold characters that change the direction of text.",
            code="direction_characters",
        )
    if value and not any(
        unicodedata.category(character)[0] in _SHOWN and ord(character) not in INVISIBLE
        for character in value
    ):
        raise ValidationError("A name needs a character that can be seen.", code="shows_nothing")
