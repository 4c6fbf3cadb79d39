"""Hello through Django: settings, one view and the WSGI application in one file."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # it sets Content-Length
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for the benchmark",
)


def hello(request: HttpRequest) -> HttpResponse:
    """Answer with 13 bytes."""
    return HttpResponse("Hello, world!", content_type="text/plain")


urlpatterns = [path("", hello)]
app = get_wsgi_application()
