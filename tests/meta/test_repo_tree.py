"""The readers that the other tests of this folder rely on, tried on texts that break them."""

from __future__ import annotations

from repo_tree import all_files, code_lines, code_only, functions

SOURCE = r"""
// int commented() { return 1; }
#define MACRO(x) \
    if (x) {
namespace mono {
struct Data {
    int member() const { return '{'; }
    const char* text = "}} not a brace {";
};
constexpr int kTable[] = {1, 2, 3'000};
template <class T>
int long_one(T value,
             int other) {
    if (value) {
        auto inner = [](int x) {
            return x;
        };
        return inner(other);
    }
    return R"({ raw } "quote" {)"[0];
}
enum class Kind : int { kOne };
}  // namespace mono
"""


def test_functions_are_found_with_their_lengths() -> None:
    found = [(f.name, f.line, f.lines) for f in functions(SOURCE)]
    assert found == [("member", 7, 1), ("long_one", 11, 11)]


def test_literals_and_comments_are_no_code() -> None:
    code = code_only('a("x // y"); // z\n/* b\n */ c(\'"\'); d(1\'000, 2\'000);\n#include "e"\n')
    assert code.splitlines()[0].strip() == 'a("");'
    assert "b" not in code
    assert 'c("")' in code
    assert "1'000, 2'000" in code
    assert '"e"' not in code
    assert code.count("\n") == 4


def test_code_lines_skip_comments_and_space() -> None:
    assert code_lines('// one\n\nint a;  // two\n/* three\n four */\nint b = f("//");\n') == 2


def test_the_repository_is_seen() -> None:
    names = {str(path) for path in all_files()}
    assert {"CMakeLists.txt", "tests/meta/test_repo_tree.py", "src/base/result.hpp"} <= names
    assert not [name for name in names if name.startswith(("build/", ".git/", ".venv/"))]
