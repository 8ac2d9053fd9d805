"""Times as the API writes them: RFC 3339, UTC, always six decimals."""

from datetime import UTC, datetime

RFC3339 = "%Y-%m-%dT%H:%M:%S.%fZ"


def rfc3339(moment: datetime) -> str:
    """Return a moment as `2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).strftime(RFC3339)
