"""logs: where lines go, and access lines that are made in Python. glogging has the logger class."""
