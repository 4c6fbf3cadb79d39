"""How large classes are: methods and members of each class of a C++ or Python source.

C++ is not compiled here: code_only() takes comments, literals and directives away, and what is left
of a class body falls apart at `;` and at its blocks. That is enough for how this repository writes
classes, and test_class_sizes.py tries it on the shapes that could mislead it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from repo_tree import code_only

TYPE = re.compile(r"\b(?P<kind>class|struct|union)\s+(?P<name>[\w:]+)[^;{}()=]*$")
TYPE_PARTS = re.compile(r"(class|struct|union|enum)\b")
ACCESS = re.compile(r"\b(public|private|protected)\s*:(?!:)")
# MONO_GUARDED_BY(mutex_), alignas(64), [[nodiscard]]: they say something of what follows.
ANNOTATION = re.compile(
    r"\b(?:[A-Z][A-Z0-9_]{2,}|alignas|decltype|noexcept)\s*\([^()]*\)|\[\[.*?\]\]"
)
NEITHER = re.compile(r"\s*(using|friend|typedef|static_assert|template\s*$|enum\b|extern\b)")
LETTER = re.compile(r"[\w~]")


@dataclass(frozen=True)
class ClassSize:
    """A class by its name without its namespace; methods without constructors, destructor and
    operators, each overload counted; members without constants."""

    name: str
    methods: int
    members: int


def _without_templates(text: str) -> str:
    """Template arguments gone, the innermost first: std::function<void(int)> has no parameters."""
    before = ""
    while before != text:
        before, text = text, re.sub(r"<[^<>;{}]*>", "", text)
    return text


def _blocks(code: str) -> dict[int, int]:
    """Where each block that opens somewhere closes."""
    ends: dict[int, int] = {}
    open_at: list[int] = []
    for match in re.finditer(r"[{}]", code):
        if match[0] == "{":
            open_at.append(match.start())
        elif open_at:
            ends[open_at.pop()] = match.start()
    return ends


def _outline(code: str, ends: dict[int, int], begin: int, end: int) -> str:
    """code[begin:end] with {} for each block, without template arguments and annotations."""
    parts = []
    at = begin
    while (opens := code.find("{", at, end)) >= 0:
        parts += [code[at:opens], "{}"]
        at = ends[opens] + 1
    text = ACCESS.sub(" ", "".join([*parts, code[at:end]]))
    return _without_templates(ANNOTATION.sub(" ", text))


def _statements(outline: str) -> Iterator[str]:
    """The declarations of a class body."""
    begin = parentheses = 0
    for match in re.finditer(r"[();]|\{\}(?=\s*(?P<next>.?))", outline):
        parentheses += {"(": 1, ")": -1}.get(match[0], 0)
        if parentheses != 0 or match[0] in "()":
            continue
        head = outline[begin : match.start()]
        # A function ends with its block: one that goes on is an initialiser of a constructor.
        # Everything else that has a block ends at its semicolon.
        if match[0] == ";" or (")" in head and match["next"] not in ("{", ",")):
            yield head
            begin = match.start() + (1 if match[0] == ";" else 2)


def _declares(statement: str, name: str) -> tuple[int, int]:
    """(methods, members) of one statement of the class `name`."""
    plain = re.sub(r"^\s*template\b", "", statement).strip()
    if not LETTER.search(plain) or NEITHER.match(plain):
        return 0, 0
    declarator = re.split(r"(?<!operator)=", plain)[0]
    if "(" in declarator:
        called = re.search(r"([~\w]+)\s*\(", declarator)
        special = "operator" in declarator or called is None or called[1].lstrip("~") == name
        return (0 if special else 1), 0
    # A nested class is counted by itself; what its declaration may name besides is a member.
    if TYPE_PARTS.match(declarator) and re.match(
        r"\w+(\s+\w+)?\s*(:[^{]*)?(\{\}\s*)?$", declarator
    ):
        return 0, 0
    if re.search(r"\bconstexpr\b", plain):
        return 0, 0
    return 0, declarator.count(",") + 1


def cpp_classes(source: str) -> list[ClassSize]:
    """Each class, struct and union of a C++ source that has a body, nested ones too."""
    code = code_only(source)
    ends = _blocks(code)
    found = []
    for word in re.finditer(
        r"(?<!enum )(?<!<)(?<!, )\b(?:class|struct|union)\b[^;{}()=]*(?={)", code
    ):
        begin = word.end()
        kind = TYPE.search(_without_templates(ANNOTATION.sub(" ", word[0])))
        if kind is None or begin not in ends:
            continue
        name = kind["name"].split("::")[-1]
        outline = _outline(code, ends, begin + 1, ends[begin])
        counts = [_declares(statement, name) for statement in _statements(outline)]
        found.append(ClassSize(name, sum(m for m, _ in counts), sum(m for _, m in counts)))
    return found


def _own_attributes(node: ast.ClassDef) -> set[str]:
    """What its methods assign to self, and what its body declares without a value."""
    names = {
        part.target.id
        for part in node.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
        and "ClassVar" not in ast.unparse(part.annotation)
    }  # fmt: skip
    for part in ast.walk(node):
        stored = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if stored and isinstance(part.value, ast.Name) and part.value.id == "self":
            names.add(part.attr)
    return names


def python_classes(source: str) -> list[ClassSize]:
    """Each class of a Python source but those in functions; a property is one method whatever it
    can do, and `__init__` and the like none."""
    found: list[ClassSize] = []
    if not re.search(r"^class ", source, re.MULTILINE):
        return found
    pending: list[ast.stmt] = list(ast.parse(source).body)
    while pending:
        node = pending.pop()
        if not isinstance(node, ast.ClassDef):
            continue
        pending += node.body
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        methods = {part.name for part in node.body if isinstance(part, kinds)}
        methods = {name for name in methods if not name.startswith("__")}
        found.append(ClassSize(node.name, len(methods), len(_own_attributes(node))))
    return found
