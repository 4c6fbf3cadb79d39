"""Starts servers that have no command line of their own: `run_embedded.py bjoern app:app PORT`.

Run by the bench environment's Python. Prints nothing; ends with the server.
"""

import importlib
import sys


def main() -> None:
    """Import the server and the application, serve on 127.0.0.1 until killed."""
    server_name, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    module_name, attribute = target.split(":")
    application = getattr(importlib.import_module(module_name), attribute)
    server = importlib.import_module(server_name)
    if server_name in ("fastwsgi", "fastpysgi"):
        server.run(wsgi_app=application, host="127.0.0.1", port=port, loglevel=0)
    elif server_name == "freastal":
        server.serve(application, "127.0.0.1", port)
    else:
        server.run(application, "127.0.0.1", port)


if __name__ == "__main__":
    main()
