"""The command `monoceros [OPTIONS] [APP_MODULE]`."""

from __future__ import annotations

import os
import sys

from monoceros import util
from monoceros.app.base import Application
from monoceros.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class WSGIApplication(Application):
    """Serves the application that the command line, the configuration or a Paste file names."""

    app_uri: str | None = None

    @property
    def init_needs_parser(self) -> bool:
        return type(self).init is not WSGIApplication.init

    def init(self, parser: Any, opts: Any, args: list[str]) -> Any:
        self.app_uri = None
        if opts.paste:
            self._init_paste(opts.paste)
        elif args:
            self.cfg.set("default_proc_name", args[0])
            self.app_uri = args[0]

    def _init_paste(self, given: str) -> None:
        from monoceros.app.pasterapp import has_logging_config

        path = os.path.abspath(given.partition("#")[0])
        if not os.path.exists(path):
            raise ConfigError(f"The Paste file {path!r} does not exist.")
        section = given.partition("#")[2]
        self.app_uri = path + ("#" + section if section else "")
        self.cfg.set("default_proc_name", path)
        if has_logging_config(path):
            self.cfg.set("logconfig", path)

    def load_config(self) -> None:
        super().load_config()
        if self.app_uri is not None:
            return
        if not self.cfg.wsgi_app:
            raise ConfigError(
                "No application module specified. Give one as MODULE:NAME on the command line, "
                "or as wsgi_app in the configuration file."
            )
        self.app_uri = self.cfg.wsgi_app
        self.cfg.set("default_proc_name", self.app_uri)

    def load_wsgiapp(self) -> Any:
        assert self.app_uri is not None
        return util.import_app(self.app_uri)

    def load_pasteapp(self) -> Any:
        from monoceros.app.pasterapp import get_wsgi_app

        return get_wsgi_app(self.app_uri, defaults=self.cfg.paste_global_conf)

    def load(self) -> Any:
        if self.cfg.paste is not None and self.cfg.sources.get("paste") == "command line":
            return self.load_pasteapp()
        return self.load_wsgiapp()


def run(prog: str | None = None) -> None:
    """The command's entry point. `prog` is the name shown in usage, or None for argv[0]'s."""
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog=prog).run()


if __name__ == "__main__":
    sys.exit(run())  # type: ignore[func-returns-value]
