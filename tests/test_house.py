"""The rules of the house as tests: each has a checker over source text, and each checker is shown a violation."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ROOMS = {
    "functions": ROOT / "functions",
    "exchange": ROOT / "layers" / "exchange" / "exchange",
    "matching_service": ROOT / "matching_service",
    "local": ROOT / "local",
    "deploy": ROOT / "deploy",
    "client": ROOT / "client",
    "console": ROOT / "console",
    "bench": ROOT / "bench",
    "tests": ROOT / "tests",
}

STATEMENTS = {"matching_service.journal", "matching_service.migrations", "matching_service.tables"}
"""What a bare PostgreSQL is given to measure the limit of durable commands: the very statements of the service."""

MAY_IMPORT = {
    "functions": {"exchange"},
    "exchange": {"exchange"},
    "matching_service": {"matching_service", "exchange"},
    "local": {"local", "exchange"},
    "deploy": {"deploy", "local", "client"},
    "client": {"client"},
    "console": {"console"},
    "bench": {"bench", "client", "exchange", "the pure core", *STATEMENTS},
    "tests": set(ROOMS),
}
"""Which rooms a room may import; the rest of the table, by the HTTP contract or by the template, needs no import."""

CORE = ("matching_service.book", "matching_service.accounts", "matching_service.triggers", "matching_service.engine")
"""The pure modules by name; what these import of ours is pure as well."""

PURE_LIBRARY = {
    "__future__", "abc", "array", "base64", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib",
    "heapq", "itertools", "math", "msgspec", "operator", "re", "string", "struct", "types", "typing", "zlib",
}  # fmt: skip
"""What a pure module may import of others: nothing that knows a clock, chance, the environment, a file or a log."""

IMPURE_CALLS = {"__import__", "breakpoint", "eval", "exec", "globals", "hash", "id", "input", "open", "print", "vars"}
"""Builtins that reach outside, or whose result differs from one process to the next."""

TIERS = {"bootstrap": 2, "refill": 2, "service": 2, "__main__": 3}
"""Which way imports point in the matching service: the core is 0, whatever is not named here 1."""

MAX_FUNCTION_LINES = 40
MAX_MODULE_LINES = 300

NOT_OUR_WORDS = {
    "acct", "addr", "amt", "cfg", "cnt", "common", "conf", "deal", "deals", "helper", "helpers", "idx", "inbox",
    "instrument", "instruments", "ladder", "manager", "mgr", "misc", "mkt", "msg", "px", "qty", "req", "resp", "slave",
    "util", "utils",
}  # fmt: skip
"""Words of the "not" column, and abbreviations, that no name of ours has a use for in any other sense."""

TOP_LEVEL = {
    "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "bench", "client", "console", "deploy", "docs", "events",
    "functions", "global.yaml", "layers", "local", "matching_service", "pyproject.toml", "requirements",
    "samconfig.toml", "template.yaml", "tests",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: `name` as it is imported, `room` as the table of the house calls it."""

    room: str
    name: str
    source: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.source)


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for room, folder in ROOMS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((room, *parts)).removesuffix(".__init__")
            found.append(Module(room, name, path.read_text(encoding="utf-8")))
    return tuple(found)


def module(source: str, name: str = "matching_service.planted") -> Module:
    return Module(name.partition(".")[0], name, source)


def problems(check: Callable[[Module], Iterator[str]], among: tuple[str, ...] = tuple(ROOMS)) -> list[str]:
    return [f"{each.name}: {problem}" for each in modules() if each.room in among for problem in check(each)]


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module, or name in one, that is imported anywhere in a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_imports(each: Module) -> Iterator[str]:
    """Yield what a module imports of ours, as the names of modules where they are some."""
    names = {known.name for known in modules()}
    for imported in imports(each.tree):
        if imported.partition(".")[0] in ROOMS:
            yield imported if imported in names else imported.rpartition(".")[0] or imported


# ── Which way imports point ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_room_imports_only_what_the_table_allows() -> None:
    assert problems(foreign_imports) == []


def foreign_imports(each: Module) -> Iterator[str]:
    allowed = MAY_IMPORT[each.room]
    for imported in own_imports(each):
        room = imported.partition(".")[0]
        if room in allowed or imported in allowed or ("the pure core" in allowed and imported in pure_modules()):
            continue
        yield f"imports {imported}"
    yield from (f"imports {name} by a relative path" for name in imports(each.tree) if name.startswith("."))


FORBIDDEN_IMPORTS = {
    "functions.trading.app": "from matching_service.engine import Engine",
    "functions.market_data.app": "import functions.admin.app",
    "exchange.orders": "def late(): from local import template",
    "exchange.wire": "from . import orders",
    "local.edge": "import matching_service",
    "client.sdk": "from exchange.orders import Side",
    "bench.core": "from matching_service.gateway import Session",
}


@pytest.mark.parametrize(("name", "source"), FORBIDDEN_IMPORTS.items())
def test_a_forbidden_import_is_found(name: str, source: str) -> None:
    assert list(foreign_imports(module(source, name)))


def test_imports_in_the_matching_service_point_from_main_to_service_to_the_rest_to_the_core() -> None:
    assert problems(upward_imports, ("matching_service",)) == []


def tier(name: str) -> int:
    return 0 if name in pure_modules() else TIERS.get(name.rpartition(".")[2], 1)


def upward_imports(each: Module) -> Iterator[str]:
    for imported in own_imports(each):
        if imported.startswith("matching_service.") and tier(imported) > tier(each.name):
            yield f"imports {imported} from below it"


def test_an_import_against_the_direction_is_found() -> None:
    assert list(upward_imports(module("from matching_service.__main__ import main")))
    assert list(upward_imports(module("from matching_service.gateway import Session", "matching_service.book")))


# ── The pure core ────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def pure_modules() -> frozenset[str]:
    """Return the core and all it imports of ours, but for the packages themselves, which are empty."""
    by_name = {each.name: each for each in modules()}
    pure: set[str] = set()
    waiting = [name for name in CORE if name in by_name]
    while waiting:
        name = waiting.pop()
        if name not in pure:
            pure.add(name)
            waiting += [imported for imported in own_imports(by_name[name]) if imported in by_name]
    return frozenset(pure - set(ROOMS))


def test_the_core_knows_no_clock_chance_environment_file_or_log() -> None:
    found = [f"{each.name}: {problem}" for each in modules() if each.name in pure_modules() for problem in impure(each)]

    assert found == []


def impure(each: Module) -> Iterator[str]:
    for imported in imports(each.tree):
        package = imported.partition(".")[0]
        if package not in PURE_LIBRARY and package not in ROOMS:
            yield f"imports {imported}"
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"line {node.lineno} calls {node.func.id}()"
        elif isinstance(node, ast.Global | ast.AsyncFunctionDef | ast.Await):
            yield f"line {node.lineno} holds a {type(node).__name__}"


IMPURITIES = (
    "import time", "from datetime import datetime", "import random", "import os", "import logging", "hash('name')",
    "def late(): import psycopg2", "def read(): return open('book').read()", "def count():\n    global total",
)  # fmt: skip


@pytest.mark.parametrize("source", IMPURITIES)
def test_an_impurity_is_found(source: str) -> None:
    assert list(impure(module(source)))


def test_the_core_is_where_the_table_says_it_is() -> None:
    assert {"matching_service.book", "matching_service.accounts", "matching_service.engine"} <= pure_modules()


# ── The environment ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_settings_reads_the_environment() -> None:
    readers = ("functions", "exchange", "matching_service", "client", "console", "bench", "deploy")
    found = problems(environment_reads, readers)

    assert [problem for problem in found if not problem.startswith("exchange.settings: ")] == []


def environment_reads(each: Module) -> Iterator[str]:
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            if node.attr in names:
                yield f"line {node.lineno} uses os.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}:
            yield f"line {node.lineno} imports it from os"


@pytest.mark.parametrize(
    "source", ["import os\nx = os.environ['X']", "import os\nos.getenv('X')", "from os import environ"]
)
def test_a_look_at_the_environment_is_found(source: str) -> None:
    assert list(environment_reads(module(source)))


# ── Size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_module_has_at_most_300_code_lines_and_a_function_40() -> None:
    assert problems(oversize) == []


def oversize(each: Module) -> Iterator[str]:
    lines = code_lines(each)
    if len(lines) > MAX_MODULE_LINES:
        yield f"{len(lines)} code lines"
    for node in ast.walk(each.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = sum(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
            if own > MAX_FUNCTION_LINES:
                yield f"{node.name} has {own} code lines"


def code_lines(each: Module) -> set[int]:
    """Return the lines that hold code: not blank, no comment, no docstring."""
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(each.source).readline):
        if token.type not in nothing:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def test_an_oversize_function_and_module_are_found() -> None:
    body = "    x = 1\n" * MAX_FUNCTION_LINES

    assert list(oversize(module(f"def grown() -> None:\n{body}"))) == ["grown has 41 code lines"]
    assert list(oversize(module("x = 1\n" * 301))) == ["301 code lines"]


def test_comments_docstrings_and_blank_lines_are_free() -> None:
    free = '    """Say\n\n    much."""\n' + "    # why\n\n" * 300 + "    return None\n"

    assert list(oversize(module(f"def explained() -> None:\n{free}"))) == []


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_names_use_the_words_of_the_house() -> None:
    assert problems(foreign_words) == []


def foreign_words(each: Module) -> Iterator[str]:
    named = [(part, 1) for part in each.name.split(".")] + list(definitions(each.tree))
    for name, line in named:
        if found := NOT_OUR_WORDS & set(words_of(name)):
            yield f"line {line} names {name} ({', '.join(sorted(found))})"


def definitions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that a module gives to something, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def words_of(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


@pytest.mark.parametrize("source", ["order_qty = 1", "class OrderManager: ...", "def f(px): ...", "load_cfg = 1"])
def test_a_foreign_word_is_found(source: str) -> None:
    assert list(foreign_words(module(source)))
    assert list(foreign_words(module("", "exchange.utils")))


# ── Docstrings, leftovers ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_module_opens_with_what_it_is() -> None:
    assert problems(missing_docstring, tuple(room for room in ROOMS if room != "tests")) == []


def missing_docstring(each: Module) -> Iterator[str]:
    text = ast.get_docstring(each.tree)
    if each.source.strip() and not text:
        yield "has no docstring"
    elif text and not re.search(r"[.:!?]$", text.split("\n\n")[0].strip()):
        yield "opens with something that is no sentence"


def test_a_missing_docstring_is_found() -> None:
    assert list(missing_docstring(module("import math\n")))
    assert list(missing_docstring(module('"""The book"""\n')))


def test_no_source_holds_a_note_to_do_something_later() -> None:
    assert problems(leftovers) == []


def leftovers(each: Module) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(each.source).readline):
        if token.type == tokenize.COMMENT and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", token.string):
            yield f"line {token.start[0]}: {token.string}"


def test_a_note_is_found() -> None:
    assert list(leftovers(module("x = 1  # TO" + "DO later\n")))


def test_no_module_changes_the_path_of_imports() -> None:
    assert problems(path_changes) == []


def path_changes(each: Module) -> Iterator[str]:
    for node in ast.walk(each.tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and f"{node.value.id}.{node.attr}" == "sys.path"
        ):
            yield f"line {node.lineno} uses sys.path"


def test_a_change_of_the_path_is_found() -> None:
    assert list(path_changes(module("import sys\nsys.path.insert(0, '.')")))


# ── Tests ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_test_sleeps() -> None:
    found = problems(sleeps, ("tests",))

    assert [problem for problem in found if not problem.startswith("tests.simulation.")] == []  # its clock is its own


def sleeps(each: Module) -> Iterator[str]:
    for node in ast.walk(each.tree):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep")
            and [ast.unparse(argument) for argument in node.args] != ["0"]
        ):
            yield f"line {node.lineno} sleeps"


def test_a_sleep_is_found() -> None:
    assert list(sleeps(module("import time\ntime.sleep(1)")))
    assert list(sleeps(module("from asyncio import sleep\nawait_me = sleep(0.1)")))
    assert not list(sleeps(module("import asyncio\nyielded = asyncio.sleep(0)")))


def test_no_test_patches_our_own_modules() -> None:
    assert problems(patches, ("tests",)) == []


def patches(each: Module) -> Iterator[str]:
    yield from (f"imports {name}" for name in imports(each.tree) if name.startswith("unittest.mock"))
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("monkeypatch.setattr", "monkeypatch.delattr"):
            yield f"line {node.lineno} patches"


def test_a_patch_is_found() -> None:
    assert list(patches(module("from unittest.mock import patch")))
    assert list(patches(module("def test_x(monkeypatch):\n    monkeypatch.setattr('book.clock', 1)")))


def test_the_name_of_a_test_is_a_sentence() -> None:
    assert problems(mere_names, ("tests",)) == []


def mere_names(each: Module) -> Iterator[str]:
    for node in ast.walk(each.tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test_") and len(node.name.split("_")) < 4:
            yield f"line {node.lineno}: {node.name}"


def test_a_mere_name_is_found() -> None:
    assert list(mere_names(module("def test_book(): ...")))


# ── Where things are ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_top_level_holds_what_the_design_names() -> None:
    assert strangers({path.name for path in ROOT.iterdir()}) == set()


def strangers(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith((".", "__"))} - TOP_LEVEL - {"node_modules"}


def test_a_stranger_at_the_top_level_is_found() -> None:
    assert strangers({"template.yaml", ".venv", "plan.md"}) == {"plan.md"}


def test_a_function_is_one_file() -> None:
    assert several_files([each.name for each in modules()]) == []


def several_files(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("functions.") and not re.fullmatch(r"functions\.\w+\.app", name)]


def test_a_second_file_of_a_function_is_found() -> None:
    assert several_files(["functions.trading.app", "functions.trading.orders"]) == ["functions.trading.orders"]
