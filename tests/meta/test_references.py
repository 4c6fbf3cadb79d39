"""Comments name files that are here. A reader who is sent to another file must find it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable

from repo_tree import LITERAL, all_files, cpp_files, files, text

# A file's name, with or without folders, as prose writes it.
NAMED = re.compile(
    r"(?<![\w./*{<-])(?:[\w-]+/)*[\w-]+\.(?:cpp|hpp|def|py|pyi|md|sh|cmake)\b(?![\w(])"
)
# Of others: the standard library's, as docs and comments name them.
FOREIGN = {"threading.py", "base_events.py", "events.py", "runners.py"}


def cpp_comments(source: str) -> str:
    """All comments of a C++ source."""
    return "\n".join(match[0] for match in LITERAL.finditer(source) if match[0].startswith("/"))


def python_comments(source: str) -> str:
    """All comments and docstrings of a Python source."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds):
            found.append(ast.get_docstring(node) or "")
    return "\n".join(found)


def absent(comments: str, names: Iterable[str]) -> list[str]:
    """The files that comments name and that are not in the repository, whose files are `names`:
    the end of a path is enough, as in "engine/engine.hpp"."""
    ends = {"/" + name for name in names}
    found = {match[0] for match in NAMED.finditer(comments)} - FOREIGN
    return sorted(name for name in found if not any(end.endswith("/" + name) for end in ends))


def test_comments_name_files_that_are_here() -> None:
    names = [str(path) for path in all_files()]
    found = {}
    for path in cpp_files():
        if not path.is_relative_to("tests"):
            found[str(path)] = absent(cpp_comments(text(path)), names)
    for path in files(".py", under="python"):
        found[str(path)] = absent(python_comments(text(path)), names)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_the_check_can_fail() -> None:
    here = ["src/engine/link.hpp", "docs/x.md"]
    assert absent(cpp_comments('f("a.cpp"); // engine/gone.cpp, link.hpp, x.md'), here) == [
        "engine/gone.cpp"
    ]
    assert absent(python_comments('"""docs/y.md"""\nx = "z.md"  # ink.hpp\n'), here) == [
        "docs/y.md",
        "ink.hpp",
    ]
