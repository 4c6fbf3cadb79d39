"""PasteDeploy: applications named by an ini file, and the server that `pserve` runs."""

from __future__ import annotations

import os

from monoceros.app.base import Application
from monoceros.config import get_default_config_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def get_wsgi_app(
    config_uri: str | None, name: str | None = None, defaults: dict[str, str] | None = None
) -> Any:
    """The application of a PasteDeploy file, PATH or PATH#SECTION."""
    try:
        import importlib

        loadapp = importlib.import_module("paste.deploy").loadapp
    except ImportError as error:
        raise ImportError("Applications in Paste files need the PasteDeploy package.") from error
    uri = f"config:{config_uri}"
    return loadapp(uri, name=name, relative_to=os.getcwd(), global_conf=defaults)


def has_logging_config(config_file: str) -> bool:
    """Whether an ini file configures Python's logging too."""
    import configparser

    parser = configparser.ConfigParser()
    parser.read([config_file])
    return parser.has_section("loggers")


def serve(app: Any, global_conf: dict[str, str], **local_conf: str) -> None:
    """The server runner of `use = egg:monoceros#main`: serves `app` until it is stopped.

    Keys of the ini section are settings; they win over the configuration file.
    """
    config_file = global_conf["__file__"]
    config_location = local_conf.pop("config", None)
    host = local_conf.pop("host", "")
    port = local_conf.pop("port", "")
    if host and port:
        local_conf["bind"] = f"{host}:{port}"
    elif host:
        local_conf["bind"] = host

    class PasterServerApplication(Application):
        """Settings from the ini section; the application is given."""

        def load_config(self) -> None:
            self.cfg.set("default_proc_name", config_file)
            if has_logging_config(config_file):
                self.cfg.set("logconfig", config_file)
            location = config_location or get_default_config_file()
            if location:
                self.cfg.source = f"file {location}"
                self.load_config_from_module_name_or_filename(location)
            self.cfg.source = f"file {config_file}"
            for name, value in local_conf.items():
                is_bind = name == "bind" and "," in value
                self.cfg.set(name.lower(), value.split(",") if is_bind else value)

        def load(self) -> Any:
            return app

    PasterServerApplication().run()
