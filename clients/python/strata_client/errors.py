"""What can go wrong, in two kinds: the server refused, or could not be reached for too long."""

from strata_client.models import Problem


class StrataError(Exception):
    """The base of what this client raises."""


class Refused(StrataError):
    """The server said no, and will say no again: `code` and `attr` say why."""

    def __init__(self, status: int, problems: tuple[Problem, ...]) -> None:
        super().__init__(" ".join(problem.detail for problem in problems))
        self.status = status
        self.problems = problems

    @property
    def code(self) -> str:
        """The first problem's code, such as `blocked`."""
        return self.problems[0].code

    @property
    def attr(self) -> str | None:
        """The first problem's field at fault."""
        return self.problems[0].attr


class Unavailable(StrataError):
    """No answer within the patience given. What was sent with a client_id may be sent again."""
