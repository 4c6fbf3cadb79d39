"""An application with a factory for PasteDeploy."""

import json
import logging


def make_app(global_conf, **local_conf):
    def app(environ, start_response):
        logging.getLogger("shop").warning("asked for %s", environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"global": dict(global_conf), "local": local_conf}).encode()]

    return app
