"""The paths of the core."""

from django.urls import path

from messaging import views

urlpatterns = [
    path("get_messages", views.GetMessagesView.as_view(), name="get_messages"),
    path("chats/<str:chat_id>/messages/", views.HistoryView.as_view(), name="chat_messages"),
]
