"""The paths of the archive."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from archive import views

router = SimpleRouter()
router.register("archive", views.ArchiveViewSet, basename="archive")

urlpatterns = [
    path(
        "archive/<int:year>/<int:day>/<int:hour>/<str:chat_id>/",
        views.ArchiveViewSet.as_view({"get": "download"}),
        name="archive_download",
    ),
    *router.urls,
]
