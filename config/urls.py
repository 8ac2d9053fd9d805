"""Every path of the service. The ones asked most often come first."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

urlpatterns = [
    path("", include("messaging.urls")),
    path("", include("chats.urls")),
    path("", include("groups.urls")),
    path("", include("accounts.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    path("browse/", include("rest_framework.urls")),
]

handler400 = "common.pages.bad_request"
handler403 = "common.pages.permission_denied"
handler404 = "common.pages.not_found"
handler500 = "common.pages.server_error"
