"""The paths of groups."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from groups import views

router = SimpleRouter()
router.register("groups", views.GroupViewSet, basename="group")

urlpatterns = [
    path(
        "send_message_to_group",
        views.SendMessageToGroupView.as_view(),
        name="send_message_to_group",
    ),
    path("create_group", views.CreateGroupView.as_view(), name="create_group"),
    path("add_user_to_group", views.AddUserToGroupView.as_view(), name="add_user_to_group"),
    path(
        "remove_user_from_group",
        views.RemoveUserFromGroupView.as_view(),
        name="remove_user_from_group",
    ),
    path("set_group_role", views.SetGroupRoleView.as_view(), name="set_group_role"),
    *router.urls,
]
