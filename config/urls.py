"""Every path of the service. The ones asked most often come first."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts import factor_views
from accounts.forms import LoginForm
from common.limits import visited
from common.pages import unknown_path
from config import admin_pages, views

admin.site.index_title = "Dashboard"
admin.site.index_template = "overview/dashboard.html"

urlpatterns = [
    path("", include("messaging.urls")),
    path("", include("chats.urls")),
    path("", include("groups.urls")),
    path("", include("accounts.urls")),
    path("", include("archive.urls")),
    path("", include("moderation.urls")),
    path("", views.RootView.as_view(), name="root"),
    path("healthz", views.LivenessView.as_view(), name="healthz"),
    path("readyz", views.ReadinessView.as_view(), name="readyz"),
    path("metrics", views.MetricsView.as_view(), name="metrics"),
    path("schema/", views.SchemaView.as_view(), name="schema"),
    path("docs/", views.DocsView.as_view(url_name="schema"), name="docs"),
    path(
        "browse/login/",
        visited(
            LoginView.as_view(
                template_name="common/login.html",
                authentication_form=LoginForm,
                redirect_authenticated_user=True,
            )
        ),
        name="browse_login",
    ),
    path("browse/logout/", LogoutView.as_view(next_page="/"), name="browse_logout"),
    # Where browsers look for it on pages that name none, as the admin's.
    path("favicon.ico", RedirectView.as_view(url="/static/common/strata.svg")),
    path("admin/second-factor/", factor_views.give, name="second_factor"),
    path("admin/second-factor/set-up/", factor_views.set_up, name="second_factor_set_up"),
    path("admin/login/", visited(admin_pages.login)),
    path(
        "admin/password_change/",
        admin.site.admin_view(admin_pages.password_change, cacheable=True),
    ),
    # The frame's own search keeps what it finds in the cache as it can't be kept there, and no page
    # of ours shows it: each list has its own.
    path("admin/search/", unknown_path),
    path("admin/", admin.site.urls),
    re_path(r"", unknown_path, name="unknown"),
]

handler400 = "common.pages.bad_request"
handler403 = "common.pages.permission_denied"
handler404 = "common.pages.not_found"
handler500 = "common.pages.server_error"
