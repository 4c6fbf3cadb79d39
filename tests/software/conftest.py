"""Real programs on monoceros: `make real-software`. Never part of `make test`: each environment
takes a minute or two to install."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("MONO_SOFTWARE") else ["test_*.py"]
