"""The paths of the archive."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from archive import export_views, views

router = SimpleRouter()
router.register("archive", views.ArchiveViewSet, basename="archive")
router.register("exports", export_views.ExportViewSet, basename="export")

urlpatterns = [
    path("export", export_views.ExportView.as_view(), name="export_verb"),
    path(
        "archive/<int:year>/<int:day>/<int:hour>/<str:chat_id>/",
        views.ArchiveViewSet.as_view({"get": "download"}),
        name="archive_download",
    ),
    *router.urls,
]
