"""Django: one async view, one JSON object, the middleware that needs no database."""

from __future__ import annotations

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="no secret: nothing is signed here",
)


async def read_root(request: HttpRequest) -> JsonResponse:
    """One JSON object."""
    return JsonResponse({"message": "Hello, world!"})


urlpatterns = [path("", read_root)]
app = get_asgi_application()
