# SPDX-License-Identifier: MIT
"""A Django project in one file, of the shape of its tutorial: polls over SQLite, with forms, sessions,
templates, static files and the admin; and what only ASGI has: async views, streams that are cancelled.

Django is configured once per process, so the application is one for all tests; each gives it its notes.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import hashlib
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import django
from django.conf import settings

from tests.support.asgi import WAIT, App, Notes

_FOLDER = tempfile.TemporaryDirectory(prefix="cuvee-django-")
atexit.register(_FOLDER.cleanup)
PAGE = "<title>{% block title %}Polls{% endblock %}</title>{% block content %}{% endblock %}"
TEMPLATES = {
    "base.html": PAGE,
    "index.html": """{% extends "base.html" %}{% block content %}{% for question in questions %}
        <a href="{% url 'detail' question.pk %}">{{ question.text }}</a>{% empty %}none
        {% endfor %}{% for message in messages %}<p>{{ message }}</p>{% endfor %}{% endblock %}""",
    "detail.html": """{% extends "base.html" %}{% block content %}<h1>{{ question.text }}</h1>
        {% if error %}<strong>{{ error }}</strong>{% endif %}
        <form method="post" action="{% url 'vote' question.pk %}">{% csrf_token %}
        {% for choice in choices %}<input type="radio" name="choice" value="{{ choice.pk }}">
        {{ choice.text }}{% endfor %}</form>{% endblock %}""",
    "results.html": """{% extends "base.html" %}{% block content %}{% for choice in choices %}
        <li>{{ choice.text }}: {{ choice.votes }} vote{{ choice.votes|pluralize }}</li>
        {% endfor %}{% endblock %}""",
    "form.html": '<form method="post">{% csrf_token %}{{ form }}</form>',
}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "test"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(_FOLDER.name) / "polls.sqlite3",
        }
    },
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        __name__,
    ],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="no secret: what it signs is worth nothing",
    STATIC_URL="static/",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
                "loaders": [
                    ("django.template.loaders.locmem.Loader", TEMPLATES),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ],
    USE_TZ=True,
)
django.setup()

from django import forms  # noqa: E402
from django.contrib import admin, messages  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.staticfiles.handlers import (  # noqa: E402
    ASGIStaticFilesHandler,
    StaticFilesHandler,
)
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import (  # noqa: E402
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import aget_object_or_404, get_object_or_404, render  # noqa: E402
from django.urls import path, reverse  # noqa: E402
from django.views import generic  # noqa: E402

NOTES = Notes()
"""Where the views report; a test puts its own here."""

GATE = threading.Event()
"""Open when the thread of a view may go on."""


class Question(models.Model):  # type: ignore[misc]
    """What is asked."""

    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return cast(str, self.text)


class Choice(models.Model):  # type: ignore[misc]
    """One answer to it."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)


class QuestionForm(forms.ModelForm):  # type: ignore[misc]
    """Asks for a question."""

    class Meta:
        model = Question
        fields = ("text",)


class UploadForm(forms.Form):  # type: ignore[misc]
    """Asks for a file and its title."""

    title = forms.CharField()
    file = forms.FileField()


admin.site.register(Question)


class IndexView(generic.ListView):  # type: ignore[misc]
    """A class-based view that is sync: it runs in a thread."""

    queryset = Question.objects.order_by("-pk")
    template_name = "index.html"
    context_object_name = "questions"


async def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Async, with async queries."""
    question = await aget_object_or_404(Question, pk=pk)
    choices = [choice async for choice in question.choice_set.order_by("pk")]
    return render(request, "detail.html", {"question": question, "choices": choices})


def vote(request: HttpRequest, pk: int) -> HttpResponse:
    """Sync, behind the CSRF check; counts in the database, and redirects."""
    question = get_object_or_404(Question, pk=pk)
    choices = question.choice_set.order_by("pk")
    try:
        chosen = choices.get(pk=request.POST["choice"])
    except (KeyError, Choice.DoesNotExist):
        context = {"question": question, "choices": choices, "error": "You chose nothing."}
        return render(request, "detail.html", context, status=400)
    Choice.objects.filter(pk=chosen.pk).update(votes=models.F("votes") + 1)
    messages.success(request, f"voted for {chosen.text}")
    return HttpResponseRedirect(reverse("results", args=(pk,)))


async def results(request: HttpRequest, pk: int) -> HttpResponse:
    """Async again."""
    question = await aget_object_or_404(Question, pk=pk)
    choices = [choice async for choice in question.choice_set.order_by("pk")]
    return render(request, "results.html", {"choices": choices})


def ask(request: HttpRequest) -> HttpResponse:
    """A form of a model: shown, refused, or kept."""
    form = QuestionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return HttpResponseRedirect(reverse("detail", args=(form.save().pk,)))
    return render(request, "form.html", {"form": form})


async def upload(request: HttpRequest) -> HttpResponse:
    """A file in a form; a large one has been in a temporary file."""
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    digest = hashlib.sha256()
    for chunk in form.cleaned_data["file"].chunks():
        digest.update(chunk)
    return JsonResponse({"title": form.cleaned_data["title"], "sha256": digest.hexdigest()})


async def token(request: HttpRequest) -> HttpResponse:
    """A form to take the CSRF token from."""
    return render(request, "form.html", {"form": UploadForm()})


async def visits(request: HttpRequest) -> HttpResponse:
    """Counts in a session."""
    count = await request.session.aget("visits", 0) + 1
    await request.session.aset("visits", count)
    return JsonResponse({"visits": count})


async def at_once(request: HttpRequest) -> HttpResponse:
    """Waits for several things together."""
    counts = await asyncio.gather(Question.objects.acount(), Choice.objects.acount())
    return JsonResponse({"questions": counts[0], "choices": counts[1]})


async def feed(request: HttpRequest) -> HttpResponse:
    """Server-sent events until the client goes; says how they ended."""

    async def events() -> AsyncIterator[str]:
        try:
            async for question in Question.objects.order_by("pk"):
                yield f"data: {question.text}\n\n"
            yield "event: end\n\n"
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            NOTES.put("events cancelled")
            raise
        finally:
            NOTES.put("events closed")

    return StreamingHttpResponse(events(), content_type="text/event-stream")


class ReportingResponse(StreamingHttpResponse):  # type: ignore[misc]
    """Reports when Django closes it, which is when its request is over."""

    def close(self) -> None:
        """Close, then report."""
        super().close()
        NOTES.put("answer closed")


async def flood(request: HttpRequest) -> HttpResponse:
    """Sends without end, as fast as it is taken."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    return ReportingResponse(pieces())


def export(request: HttpRequest) -> HttpResponse:
    """A stream from a plain generator."""

    def rows() -> Iterator[str]:
        yield "number,square\n"
        for number in range(1000):
            yield f"{number},{number * number}\n"

    return StreamingHttpResponse(rows(), content_type="text/csv")


def download(request: HttpRequest) -> HttpResponse:
    """A file from the disk."""
    return FileResponse(open(__file__, "rb"), as_attachment=True)


async def wait(request: HttpRequest) -> HttpResponse:
    """Waits for nothing but its cancellation."""
    NOTES.put("waits")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        NOTES.put("cancelled")
        raise
    return HttpResponse("never")


def work(request: HttpRequest) -> HttpResponse:
    """Works in a thread until its test says so."""
    NOTES.put("works")
    assert GATE.wait(WAIT)
    NOTES.put("worked")
    return HttpResponse("worked")


def fail(request: HttpRequest) -> HttpResponse:
    """A mistake."""
    raise LookupError("in a view")


urlpatterns = [
    path("", IndexView.as_view(), name="index"),
    path("<int:pk>/", detail, name="detail"),
    path("<int:pk>/vote/", vote, name="vote"),
    path("<int:pk>/results/", results, name="results"),
    path("admin/", admin.site.urls),
    path("ask/", ask),
    path("at-once/", at_once),
    path("download/", download),
    path("export/", export),
    path("fail/", fail),
    path("feed/", feed),
    path("flood/", flood),
    path("token/", token),
    path("upload/", upload),
    path("visits/", visits),
    path("wait/", wait),
    path("work/", work),
]

application: App = ASGIStaticFilesHandler(get_asgi_application())
wsgi_application: Any = StaticFilesHandler(get_wsgi_application())


@functools.cache
def prepare() -> None:
    """Make the database, once a process, with one question and one user, both known to the tests."""
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Question)
        editor.create_model(Choice)
    question = Question.objects.create(text="What's up?")
    for text in ("Not much", "The sky"):
        question.choice_set.create(text=text)
    users: Any = get_user_model()
    users.objects.create_superuser("admin", password="a password")
