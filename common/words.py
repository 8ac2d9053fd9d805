"""What people write, as pages show it."""

LONG_CHARS, LONG_LINES = 250, 8


def is_long(text: str) -> bool:
    """Say whether a text may need more room than a page gives it, and hence must be scrolled."""
    return len(text) > LONG_CHARS or text.count("\n") > LONG_LINES
