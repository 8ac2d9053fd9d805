"""The paths of private chats."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from chats import views

router = SimpleRouter()
router.register("chats", views.ChatViewSet, basename="chat")

urlpatterns = [
    path("send_message", views.SendMessageView.as_view(), name="send_message"),
    *router.urls,
]
