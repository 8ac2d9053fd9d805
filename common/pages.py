"""What Django itself answers when no route did: unknown paths, refused requests, defects.

Programs get the one error shape, browsers a small page; whoever says nothing is a program.
`config/urls.py` names these as its handlers; `unknown_path` is its last route, because with DEBUG
on Django would answer an unknown path by an HTML page of its own.
"""

import sys
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.views.decorators.csrf import csrf_exempt

from common.errors import RETRY_AFTER_SECONDS, BodyTooLarge, Refusal
from common.renderers import dumps
from common.unavailable import unavailable

HTTP_500 = 500
HTTP_503 = 503
TITLES = {
    400: "This request can't be understood",
    403: "This may not be done",
    404: "There is nothing here",
    413: "That is too much at once",
    415: "This can't be read",
    429: "That was too often",
    500: "Something went wrong",
    503: "Away for a moment",
}


def _admin_of(request: HttpRequest) -> str:
    """Return the path of the admin where the request was for a page of it, else an empty text."""
    try:
        admin = reverse("admin:index")
    except NoReverseMatch:
        return ""
    return admin if request.path.startswith(admin) else ""


def answer(request: HttpRequest, *, status: int, code: str, detail: str) -> HttpResponse:
    """Return an error in the one shape, as a page when the client prefers HTML."""
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        page = render_to_string(
            "common/error.html",
            {
                "title": TITLES.get(status, TITLES[400]),
                "detail": detail,
                "status": status,
                "back": _admin_of(request),
            },
        )
        response = HttpResponse(page, status=status)
    else:
        kind = "server_error" if status >= HTTP_500 else "client_error"
        body = {"type": kind, "errors": [{"code": code, "detail": detail, "attr": None}]}
        response = HttpResponse(dumps(body), status=status, content_type="application/json")
    response["Vary"] = "Accept"
    if status == HTTP_503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_refusal(request: HttpRequest, error: Refusal) -> HttpResponse:
    """Return a refusal as a page, or in the one shape."""
    response = answer(
        request,
        status=error.status_code,
        code=str(error.get_codes()),
        detail=str(error.detail),
    )
    for name, value in getattr(error, "headers", {}).items():
        response[name] = value
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(wait)
    return response


class RefusalPages:
    """Answers what a page outside the API refuses, and a dependency that it needs and is away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer as usual."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return a refusal as a page, or in the one shape; nothing for any other error."""
        refusal = error if isinstance(error, Refusal) else unavailable(error)
        return None if refusal is None else answer_refusal(request, refusal)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer what Django refuses before a route sees it (`handler400`)."""
    if isinstance(exception, RequestDataTooBig):
        return answer(
            request,
            status=413,
            code=BodyTooLarge.default_code,
            detail=BodyTooLarge.default_detail,
        )
    return answer(
        request,
        status=400,
        code="bad_request",
        detail="The server can't understand this request. Check its host, its headers and its "
        "form.",
    )


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer what a page outside the API refuses (`handler403`)."""
    return answer(
        request,
        status=403,
        code="permission_denied",
        detail="You do not have permission to do this.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a path that is none (`handler404`)."""
    return answer(
        request,
        status=404,
        code="not_found",
        detail="There is nothing at this path. GET / lists the routes, and a slash at the end "
        "matters.",
    )


@csrf_exempt
def unknown_path(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer whatever no other route takes, with DEBUG on as off, whatever the method."""
    return not_found(request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a defect, or a dependency that is away, outside the API (`handler500`)."""
    error = sys.exc_info()[1]
    not_now = None if error is None else unavailable(error)
    if not_now is not None:
        return answer_refusal(request, not_now)
    return answer(
        request,
        status=500,
        code="error",
        detail="The server failed at this; it has been logged. Sending it again may help.",
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that lacks its CSRF token (`CSRF_FAILURE_VIEW`)."""
    return answer(
        request,
        status=403,
        code="csrf_failed",
        detail="The form's protection against forged requests has run out. Load the page again, "
        "with cookies allowed, and send the form once more.",
    )
