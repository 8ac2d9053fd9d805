"""Every page of the admin that there is, found from what is registered."""

from collections.abc import Iterator

from django.contrib import admin
from django.test import RequestFactory

from common.deeds import deeds_for


def lists() -> Iterator[str]:
    """Yield the lists."""
    for model in admin.site._registry:
        yield f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def things(user) -> Iterator[str]:
    """Yield the pages of the last thing of each kind, and of all that can be done to it."""
    request = RequestFactory().get("/admin/")
    request.user = user
    for model in admin.site._registry:
        thing = model._default_manager.order_by("-pk").first()
        if thing is None:
            continue
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{thing.pk}"
        yield f"{page}/change/"
        for deed in deeds_for(request, thing):
            if not deed.href:
                yield f"{page}/do/{deed.name}/"


def every_page(user) -> list[str]:
    """Return them all."""
    return ["/admin/", *lists(), *things(user)]
