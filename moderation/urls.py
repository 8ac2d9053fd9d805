"""The paths of moderation."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from moderation import views

router = SimpleRouter()
router.register("reports", views.ReportViewSet, basename="report")

urlpatterns = [
    path("report_message", views.ReportMessageView.as_view(), name="report_message"),
    path("report_user", views.ReportUserView.as_view(), name="report_user"),
    *router.urls,
]
