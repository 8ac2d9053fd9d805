"""What the stack says when it can't go on."""


class StackError(Exception):
    """One clear sentence for the person at the terminal; nothing else is shown of it."""
