"""No class with more than 30 methods or 20 members, no header over 250 lines.

A class past that does several things, and nothing tells its reader which of its members belong
together. Two lists say what is larger all the same: TABLES for good, with the reason; DEBTS until
the class is taken apart, with its figures of today. A debt that has become smaller must be written
down smaller, so that the list stays true and nothing grows back.
"""

from __future__ import annotations

from pathlib import Path

from class_sizes import ClassSize, cpp_classes, python_classes
from repo_tree import cpp_files, python_files, text

METHODS_MAX = 30
MEMBERS_MAX = 20
HEADER_LINES_MAX = 250

# What is large for good: a list of things of one kind, or a face that gunicorn dictates.
TABLES = {
    ("src/python/asgi_objects.hpp", "AsgiShared"): "the words of ASGI messages, interned once",
    ("src/session/limits.hpp", "Limits"): "a table: what settings say of requests, checked once",
    ("src/engine/options.hpp", "Options"): "a table: what settings and the master say of an engine",
    ("python/monoceros/arbiter.py", "Arbiter"): "gunicorn's face: what hooks may call and read",
    ("python/monoceros/contracts.py", "Master"): "what the master's parts ask of that face",
    ("python/monoceros/glogging.py", "Logger"): "gunicorn's face: logger_class is derived from it",
    ("python/monoceros/workers/base.py", "Worker"): "gunicorn's face: what hooks may read",
}
# (file, class) -> methods and members today.
DEBTS = {
    ("src/session/connection.hpp", "Connection"): (56, 20),
    ("src/session/exchange.hpp", "Exchange"): (10, 38),
    ("src/websocket/websocket.hpp", "WebSocket"): (33, 28),
    ("tests/sim/world.hpp", "World"): (26, 26),
    ("tests/compat/pair.py", "Side"): (31, 9),
    ("python/monoceros/workers/gasgi.py", "ASGIWorker"): (41, 11),
    ("python/monoceros/workers/runner.py", "EngineWorker"): (43, 15),
}
# Header -> lines today.
HEADER_DEBTS = {
    "src/engine/support_test.hpp": 429,
}


def is_large(size: ClassSize) -> bool:
    """Whether it has to be in one of the lists."""
    return size.methods > METHODS_MAX or size.members > MEMBERS_MAX


def faults(path: str, sizes: list[ClassSize]) -> list[str]:
    """What is wrong with the classes of one file."""
    found = []
    for size in sizes:
        key = (path, size.name)
        now = (size.methods, size.members)
        if key in DEBTS and now != DEBTS[key]:
            larger = now[0] > DEBTS[key][0] or now[1] > DEBTS[key][1]
            advice = "take it apart" if larger else "write DEBTS down"
            found.append(f"{size.name} has {now} methods and members, not {DEBTS[key]}: {advice}")
        elif key in DEBTS and not is_large(size):
            found.append(f"{size.name} is small now: take it out of DEBTS")
        elif is_large(size) and key not in DEBTS and key not in TABLES:
            found.append(f"{size.name} has {now} methods and members: take it apart")
    return found


def classes_of(path: Path) -> list[ClassSize]:
    """The classes of a source in either language."""
    return python_classes(text(path)) if path.suffix == ".py" else cpp_classes(text(path))


def test_classes_are_small() -> None:
    found = {}
    for path in [*cpp_files(), *python_files()]:
        found[str(path)] = faults(str(path), classes_of(path))
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_the_lists_name_what_is_there() -> None:
    for path, name in [*DEBTS, *TABLES]:
        sizes = {size.name: size for size in classes_of(Path(path))}
        assert name in sizes, f"{name} has left {path}: take it out of the list"
        assert is_large(sizes[name]), f"{name} is small now: take it out of the list"


def header_fault(path: str, lines: int) -> str:
    """What is wrong with the length of a header; "" where nothing is."""
    debt = HEADER_DEBTS.get(path, 0)
    if lines <= HEADER_LINES_MAX:
        return f"{path} is short now: take it out of HEADER_DEBTS" if debt else ""
    if lines > max(debt, HEADER_LINES_MAX):
        return f"{path} has {lines} lines: everybody who includes it reads them"
    return f"{path} has {lines} lines: write HEADER_DEBTS down" if lines < debt else ""


def test_headers_are_short() -> None:
    headers = [path for path in cpp_files() if path.suffix == ".hpp"]
    found = [header_fault(str(path), len(text(path).splitlines())) for path in headers]
    assert [fault for fault in found if fault] == []
    assert set(HEADER_DEBTS) <= {str(path) for path in headers}


CPP = r"""
enum class Kind : int { kOne, kTwo };
template <class T>
class Shape : public Base<T>, private Other {
  public:
    Shape(int a, T b) : a_(a), b_{b}, c_{f(a)} {}
    explicit Shape(T b);
    ~Shape() override = default;
    Shape& operator=(const Shape&) = delete;
    bool operator()(int x) const { return x == 1; }
    using Name = std::function<void(int)>;
    friend class Peer;
    static constexpr int kBound = 3;
    int area() const { return a_ * (1 + 2); }
    [[nodiscard]] virtual bool has(int a, int b) const = 0;
    template <class U>
    void put(U value) MONO_REQUIRES(mutex_);
    struct Inner {
        int one = 1;
        std::vector<int> two{1, 2};
    };

  private:
    enum Place { kHere, kThere };
    static T make(const Inner& inner = {});
    std::function<void(int)> told_;
    std::array<int, f(3)> a_{}, b_;
    int c_ MONO_GUARDED_BY(mutex_) = 0;
    Inner inner_;
    struct Inner* next_ = nullptr;
    struct {
        int x;
    } nameless_;
};
struct Empty {};
class Elsewhere;
"""
PYTHON = """
class Face(Base):
    KINDS = (1, 2)
    noted: int
    known: ClassVar[int] = 1
    def __init__(self) -> None:
        self.a = self.b = 1
        self.c: int = 2
    @property
    def x(self) -> int: return self.a
    @x.setter
    def x(self, value: int) -> None:
        self.a, self.d = value, 2
        other.e = 1
    async def y(self) -> None: ...
"""


def test_cpp_classes_are_counted() -> None:
    sizes = {size.name: (size.methods, size.members) for size in cpp_classes(CPP)}
    assert sizes == {"Shape": (4, 7), "Inner": (0, 2), "Empty": (0, 0)}


def test_python_classes_are_counted() -> None:
    assert python_classes(PYTHON) == [ClassSize("Face", 2, 5)]


def test_the_check_can_fail() -> None:
    many = "class Many {\n" + "".join(f"int m{i}_;\n" for i in range(21)) + "};\n"
    assert faults("src/x/many.hpp", cpp_classes(many))
    assert not faults("src/x/many.hpp", cpp_classes(many.replace("int m0_;\n", "")))
    methods = "class Many:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(31))
    assert faults("x.py", python_classes(methods))
    assert header_fault("src/x/many.hpp", 251) and not header_fault("src/x/many.hpp", 250)
    path, name = next(iter(DEBTS))
    now = DEBTS[path, name]
    assert not faults(path, [ClassSize(name, *now)])
    assert "DEBTS" in faults(path, [ClassSize(name, now[0] - 1, now[1])])[0]
    assert "apart" in faults(path, [ClassSize(name, now[0], now[1] + 1)])[0]
