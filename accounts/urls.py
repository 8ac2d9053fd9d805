"""The paths of accounts, as the contract has them: verbs without a trailing slash."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts import views

router = SimpleRouter()
router.register("users", views.UserViewSet)
router.register("blocks", views.BlockViewSet)

urlpatterns = [
    path("register", views.RegisterView.as_view(), name="register"),
    path("login", views.LoginView.as_view(), name="login"),
    path("logout", views.LogoutView.as_view(), name="logout"),
    path("block_user", views.BlockUserView.as_view(), name="block_user"),
    path("unblock_user", views.UnblockUserView.as_view(), name="unblock_user"),
    *router.urls,
]
