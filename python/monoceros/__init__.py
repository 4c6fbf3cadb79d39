"""monoceros: a pre-fork web server for Python applications, with a C++ core."""

version_info = (0, 1, 0)
__version__ = "0.1.0"
SERVER = "monoceros"
SERVER_SOFTWARE = "monoceros/" + __version__
