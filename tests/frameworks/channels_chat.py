# SPDX-License-Identifier: MIT
"""A chat with Django Channels: rooms are groups of its channel layer, which is in memory, or in Redis where
`CHAT_REDIS` is the address of one. Django is configured once per process, so this has a process of its own."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import parse_qs

import django
from django.conf import settings

REDIS = os.environ.get("CHAT_REDIS")
LAYER: dict[str, Any] = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
if REDIS:
    LAYER = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [REDIS]}}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CHANNEL_LAYERS={"default": LAYER},
    INSTALLED_APPS=[
        "channels",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="no secret: what it signs is worth nothing",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.exceptions import DenyConnection  # noqa: E402
from channels.generic.websocket import (  # noqa: E402
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
)
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class Chat(AsyncWebsocketConsumer):  # type: ignore[misc]
    """A room."""

    name = ""

    async def connect(self) -> None:
        """Let in who has a name."""
        self.room = self.scope["url_route"]["kwargs"]["room"]
        self.group = "chat-" + self.room.encode().hex()
        names = parse_qs(self.scope["query_string"].decode()).get("name")
        if not names:
            await self.close()
            return
        subprotocol = "chat.v2" if "chat.v2" in self.scope["subprotocols"] else None
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept(subprotocol, [(b"x-room", self.room.encode())])
        self.name = names[0]
        await self.tell_all({"joined": self.name})

    async def tell_all(self, message: dict[str, Any]) -> None:
        """Send to the group; each consumer in it is called below."""
        event = {"type": "chat.said", "text": json.dumps(message)}
        await self.channel_layer.group_send(self.group, event)

    async def chat_said(self, event: dict[str, Any]) -> None:
        """Hand on what was said in the group."""
        await self.send(text_data=event.get("text"), bytes_data=event.get("bytes"))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Do what the client asks for."""
        if text_data is None:
            event = {"type": "chat.said", "bytes": bytes_data}
            await self.channel_layer.group_send(self.group, event)
            return
        match json.loads(text_data):
            case {"say": text}:
                await self.tell_all({"from": self.name, "said": text})
            case {"leave": code, "reason": reason}:
                await self.close(code, reason)
            case {"fail": True}:
                await self.tell_all({"left": self.name, "code": 1011})
                raise LookupError("in a handler")

    async def disconnect(self, code: int) -> None:
        """Tell the others."""
        await self.channel_layer.group_discard(self.group, self.channel_name)
        if self.name:
            print(f"{self.name} left with {code}", flush=True)
            await self.tell_all({"left": self.name, "code": code})


class Who(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Tells the client who it is."""

    async def connect(self) -> None:
        """By its cookie."""
        if "user" not in self.scope["cookies"]:
            raise DenyConnection
        await self.accept()
        await self.send(self.scope["cookies"]["user"], close=1000)


class Visits(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """JSON, the session and the user."""

    async def connect(self) -> None:
        """Say what is known."""
        await self.accept()
        user = self.scope["user"]
        await self.send_json([self.scope["session"].get("visits"), user.is_anonymous])

    async def receive_json(self, content: Any, **options: Any) -> None:
        """Wrap it."""
        await self.send_json({"got": content})


class InThread(JsonWebsocketConsumer):  # type: ignore[misc]
    """A sync consumer: its methods run in a thread."""

    groups = ("sync",)

    def receive_json(self, content: Any, **options: Any) -> None:
        """Tell all in the group."""
        async_to_sync(self.channel_layer.group_send)("sync", {"type": "said", "content": content})

    def said(self, event: dict[str, Any]) -> None:
        """Hand it on, and be done where that is asked for."""
        self.send_json(event["content"])
        if event["content"] == "enough":
            self.close(4008, "that was enough")

    def disconnect(self, code: int) -> None:
        """Note it."""
        print(f"thread left with {code}", flush=True)


class Broken(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Fails before it accepts."""

    async def connect(self) -> None:
        """Fail."""
        raise LookupError("before accept")


def count(request: HttpRequest) -> JsonResponse:
    """Count visits in the session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse(request.session["visits"], safe=False)


async def say(request: HttpRequest) -> JsonResponse:
    """Speak in the lobby from a view."""
    event = {"type": "chat.said", "text": '{"from": "http", "said": "hello"}'}
    await get_channel_layer().group_send("chat-" + b"lobby".hex(), event)
    return JsonResponse("said", safe=False)


urlpatterns = [path("count/", count), path("say/", say)]

app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(
                URLRouter(
                    [
                        path("chat/<str:room>", Chat.as_asgi()),
                        path("who", Who.as_asgi()),
                        path("visits", Visits.as_asgi()),
                        path("thread", InThread.as_asgi()),
                        path("broken", Broken.as_asgi()),
                    ]
                )
            )
        ),
    }
)
