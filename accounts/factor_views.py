"""The admin's pages of the second factor, and what leads there."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_otp import login as keep_in_session

from accounts import factors
from common.limits import Throttled

# Whoever has only a password gets to these of the admin's pages.
OPEN = frozenset({"login", "logout", "second_factor", "second_factor_set_up"})


class SecondFactorGate:
    """Lets nobody into the admin whose second factor is asked for and not given.

    Stands after django-otp's middleware. Who has one must give it; who has none must set one up
    where ADMIN_REQUIRE_SECOND_FACTOR says so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer as usual."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Lead to a page of the second factor where one is wanted."""
        match = request.resolver_match
        if match is None or match.url_name in OPEN:
            return None
        if "admin" not in match.namespaces and not request.path.startswith(reverse("admin:index")):
            return None
        user: Any = request.user
        if not user.is_authenticated or not user.is_staff or user.is_verified():
            return None
        if factors.has_factor(user):
            return _led(request, "second_factor")
        if settings.ADMIN_REQUIRE_SECOND_FACTOR:
            return _led(request, "second_factor_set_up")
        return None


def _led(request: HttpRequest, page: str) -> HttpResponseRedirect:
    there = request.get_full_path() if request.method == "GET" else reverse("admin:index")
    return redirect(f"{reverse(page)}?{urlencode({'next': there})}")


def _next(request: HttpRequest) -> str:
    there = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(
        there, {request.get_host()}, require_https=request.is_secure()
    ):
        return there
    return reverse("admin:index")


def _page(request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    return TemplateResponse(
        request,
        f"accounts/{name}.html",
        {**admin.site.each_context(request), "next": _next(request), **context},
        # No answer that shows a secret is to be kept by anybody.
        headers={"Cache-Control": "no-store"},
    )


def _to_login(request: HttpRequest) -> HttpResponseRedirect | None:
    """Lead whoever is not of the staff to the login."""
    user: Any = request.user
    if user.is_authenticated and user.is_active and user.is_staff:
        return None
    return redirect(f"{reverse('admin:login')}?{urlencode({'next': request.path})}")


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def give(request: HttpRequest) -> HttpResponseBase:
    """Ask for the second factor after the password."""
    if away := _to_login(request):
        return away
    user: Any = request.user
    if user.is_verified():
        return redirect(_next(request))
    if not factors.has_factor(user):
        return redirect("second_factor_set_up")
    wrong = False
    if request.method == "POST":
        try:
            device = factors.check(request, request.POST.get("code", ""))
        except Throttled as refused:
            page = _page(request, "second_factor", title="Second factor", wait=refused.wait)
            page.status_code = refused.status_code
            page["Retry-After"] = str(refused.wait)
            return page
        if device is not None:
            # Whoever knew the session's id before has not given the factor.
            request.session.cycle_key()
            keep_in_session(request, device)
            return redirect(_next(request))
        wrong = True
    return _page(request, "second_factor", title="Second factor", wrong=wrong)


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponseBase:
    """Show the secret, take the first code of it, then show the recovery codes once.

    Each time the page is opened it shows another secret; after a wrong code the same one, which the
    phone has by then. Who has a factor already has to give it to get here, and may have new
    recovery codes.
    """
    if away := _to_login(request):
        return away
    user: Any = request.user
    if factors.has_factor(user):
        if not user.is_verified():
            return _led(request, "second_factor")
        codes = factors.renew_recovery_codes(user=user) if request.method == "POST" else []
        return _page(
            request,
            "second_factor_kept",
            title="Second factor",
            codes=codes,
            left=factors.codes_left(user),
            new=False,
        )
    device = None
    if request.method == "POST":
        confirmed = factors.confirm(request, "".join(request.POST.get("code", "")[:64].split()))
        if confirmed is not None:
            kept, codes = confirmed
            request.session.cycle_key()
            keep_in_session(request, kept)
            return _page(
                request,
                "second_factor_kept",
                title="Recovery codes",
                codes=codes,
                left=len(codes),
                new=True,
            )
        device = factors.shown_secret(request)
    if device is None:
        device = factors.new_secret(request)
    return _page(
        request,
        "second_factor_set_up",
        title="Set up a second factor",
        secret=factors.secret_of(device),
        picture=factors.picture_of(device),
        required=settings.ADMIN_REQUIRE_SECOND_FACTOR,
        wrong=request.method == "POST",
    )
