"""`python -m config.stack`: start the local stack and keep it running until Ctrl-C."""

from __future__ import annotations

import sys

from config.stack.errors import StackError
from config.stack.stack import Stack


def main() -> int:
    """Run the stack; return the exit status."""
    try:
        with Stack() as stack:
            stack.run()
    except StackError as error:
        sys.stderr.write(f"strata: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
