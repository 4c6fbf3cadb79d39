"""gunicorn's name, for programs that insist on it: everything below it is monoceros."""

from monoceros import compat

compat.take_name()
