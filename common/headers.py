"""What every answer tells whoever receives it: what to load, and to keep nothing.

Pages get a Content-Security-Policy by path and a Permissions-Policy. All answers say `no-store`
unless the view has said something else: most carry tokens, people or messages, and an error may
name somebody.
"""

from __future__ import annotations

from collections.abc import Iterable

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Nothing here asks for any of them, so no script that got in could either.
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "fullscreen",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "publickey-credentials-get",
        "screen-wake-lock",
        "usb",
        "xr-spatial-tracking",
    )
)

ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))


def unsaid(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return which of the headers that every answer has are not among these names."""
    said = list(names)
    return [header for header in ALWAYS if header[0] not in said]


class PageHeaders(CSPMiddleware):
    """Adds them, unless a view has said them; `CSP_BY_PATH` has the paths with a policy."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """Return the policy of the longest prefix that the path begins with, else the strictest."""
        parts = super().get_policy_parts(request, response, report_only)
        if parts.config is None and not report_only:
            path = request.path_info
            fitting = [prefix for prefix in settings.CSP_BY_PATH if path.startswith(prefix)]
            if fitting:
                parts.config = settings.CSP_BY_PATH[max(fitting, key=len)]
        return parts

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the headers."""
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        for name, value in unsaid(response.headers):
            response.headers[name] = value
        return super().process_response(request, response)
