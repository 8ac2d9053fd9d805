"""Numbers as they come in queries, paths, forms and settings: one way to read them."""

import re

MAX_DIGITS = 19
_WHOLE = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}")


def whole_number(text: object) -> int | None:
    """Return the number that a text of ASCII digits writes; None for anything else.

    No white space, no sign but a minus, no point, no `_`, no digits of other scripts, of all of
    which Python's `int` takes some.
    """
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        return None
    return int(text)
