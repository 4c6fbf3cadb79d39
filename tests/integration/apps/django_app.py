"""Django in one file: SQLite, database sessions, uploads, streaming, a model of its own.

`python django_app.py migrate` makes the tables in MONO_DJANGO_DIR.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import django
from django.conf import settings
from framework_tools import SECRET, blocks, lines, receipt

if not settings.configured:
    HERE = Path(os.environ["MONO_DJANGO_DIR"])
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="django_app",
        INSTALLED_APPS=["django.contrib.sessions", "django.contrib.contenttypes"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": HERE / "db.sqlite3",
                "OPTIONS": {"timeout": 20},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        FILE_UPLOAD_TEMP_DIR=str(HERE),
        FILE_UPLOAD_MAX_MEMORY_SIZE=1 << 20,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {"django": {"handlers": ["stderr"], "level": "ERROR"}},
        },
    )
    django.setup()

from django.contrib.sessions.models import Session
from django.core.wsgi import get_wsgi_application
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello from django")


def greet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"hello {request.GET['name']}")


def form(request: HttpRequest) -> HttpResponse:
    return JsonResponse(request.POST.dict())


def json_echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"got": json.loads(request.body)})


def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    return JsonResponse(receipt(file, name=file.name, title=request.POST["title"]))


def raw(request: HttpRequest) -> HttpResponse:
    return JsonResponse(receipt(request))


def login(request: HttpRequest) -> HttpResponse:
    request.session["user"] = request.POST["user"]
    return HttpResponse("welcome")


def whoami(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session.get("user", "nobody"))


def sessions(request: HttpRequest) -> HttpResponse:
    """How many sessions the database holds."""
    return HttpResponse(str(Session.objects.count()))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(lines(), content_type="text/plain")


def big(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(blocks(int(request.GET["mb"])))


def away(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/greet?name=there")


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("boom in django")


VIEWS = {
    "": index,
    "greet": greet,
    "form": form,
    "json": json_echo,
    "upload": upload,
    "raw": raw,
    "login": login,
    "whoami": whoami,
    "sessions": sessions,
    "stream": stream,
    "big": big,
    "redirect": away,
    "boom": boom,
}
urlpatterns = [path(name, view) for name, view in VIEWS.items()]

app = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    sys.modules["django_app"] = sys.modules["__main__"]
    execute_from_command_line(sys.argv)
