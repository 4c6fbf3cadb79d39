"""What the repository holds: its files, and C++ text without comments and literals.

Every test in this folder reads files only; nothing is built or run.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", "build", "dist", ".venv", "__pycache__", "results", "found", "corpus"}
CPP_FOLDERS = ("src", "fuzz", "tests", "bench")
FUNCTION_KEYWORD = re.compile(r"\b(if|for|while|switch|catch|do|else|return)\b")
TYPE_HEAD = re.compile(r"\b(class|struct|union|enum)\b[^()=]*$")
SPACE_HEAD = re.compile(r'(\bnamespace\b[^()=]*|\bextern\s*"[^"]*"\s*)$')


def _listed_by_git() -> list[str] | None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name.decode() for name in done.stdout.split(b"\0") if name]


def _walked() -> list[str]:
    names = []
    for directory, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in SKIPPED and not f.endswith(".egg-info")]
        names += [os.path.relpath(os.path.join(directory, f), ROOT) for f in files]
    return names


@cache
def all_files() -> tuple[Path, ...]:
    """Every file of the repository that is not ignored, as paths relative to ROOT."""
    names = _listed_by_git()
    if names is None:
        names = _walked()
    paths = (Path(name) for name in sorted(set(names)))
    return tuple(path for path in paths if (ROOT / path).is_file())


def files(*suffixes: str, under: str = "") -> list[Path]:
    """Files with one of the suffixes, below the folder `under`."""
    found = [path for path in all_files() if path.suffix in suffixes]
    return [path for path in found if not under or path.is_relative_to(under)]


def cpp_files() -> list[Path]:
    """C++ sources and headers of the whole repository."""
    return [path for path in files(".cpp", ".hpp") if path.parts[0] in CPP_FOLDERS]


def python_files() -> list[Path]:
    """Python sources of the whole repository, stubs not included."""
    return files(".py")


@cache
def text(path: Path) -> str:
    """The text of a file relative to ROOT."""
    return (ROOT / path).read_text(encoding="utf-8", errors="surrogateescape")


def is_test(path: Path) -> bool:
    """Whether a C++ file is test code, which links GoogleTest and may do what tests do."""
    return path.stem.endswith(("_test", "_bench")) or path.parts[0] != "src"


LITERAL = re.compile(
    r"""R"(?P<tag>[^()\\ ]{0,16})\((?:.|\n)*?\)(?P=tag)"   # raw string
      | "(?:\\.|[^"\\\n])*"                                # string
      | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'                # character, not a digit separator
      | //[^\n]*
      | /\*(?:.|\n)*?\*/
    """,
    re.VERBOSE,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def _blank(match: re.Match[str]) -> str:
    kept = '""' if match[0][0] in "R\"'" else " "
    return kept + "\n" * match[0].count("\n")


def code_only(source: str) -> str:
    """C++ without comments, the inside of literals, and directives; line numbers stay."""
    return DIRECTIVE.sub(_blank, LITERAL.sub(_blank, source))


def code_lines(source: str) -> int:
    """Lines of C++ that hold more than a comment or space."""
    without_comments = LITERAL.sub(
        lambda m: _blank(m) if m[0].startswith("/") else "x" + "\n" * m[0].count("\n"), source
    )
    return sum(1 for line in without_comments.splitlines() if line.strip())


@dataclass(frozen=True)
class Function:
    """A function body of a C++ file; `lines` runs from its signature to its closing brace."""

    name: str
    line: int
    lines: int


def functions(source: str) -> list[Function]:
    """Functions at namespace or class level. Lambdas and local types belong to their function."""
    code = code_only(source)
    found: list[Function] = []
    stack: list[str] = []  # "space", "type", "function" or "inner", one an open brace
    open_function = ("", 0)
    head_begin = 0
    for match in re.finditer(r"[{};]", code):
        at = match.start()
        if match[0] == "{":
            head = code[head_begin:at].strip()
            kind = _kind_of_block(head, stack)
            if kind == "function":
                begin = head_begin + len(code[head_begin:at]) - len(code[head_begin:at].lstrip())
                open_function = (_name_of(head), code.count("\n", 0, begin) + 1)
            stack.append(kind)
        elif match[0] == "}" and stack and stack.pop() == "function":
            name, line = open_function
            found.append(Function(name, line, code.count("\n", 0, at) + 1 - line + 1))
        head_begin = at + 1
    return found


def _kind_of_block(head: str, stack: list[str]) -> str:
    if "function" in stack or "inner" in stack:
        return "inner"
    if SPACE_HEAD.search(head):
        return "space"
    if TYPE_HEAD.search(re.sub(r"<[^<>]*>", "", head)):
        return "type"
    return "function" if ")" in head and not FUNCTION_KEYWORD.match(head) else "inner"


def _name_of(head: str) -> str:
    names = re.findall(r"([~\w:]+|operator\S+)\s*\(", head)
    return names[0] if names else head[-40:]
