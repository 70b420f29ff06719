"""Compiles the pure core with mypyc: the same modules, twice as quick; it changes nothing in the tree that it reads.

`python deploy/compiled.py FOLDER` writes the packages `exchange` and `matching_service` to FOLDER, the engine and all
that it imports of matching_service as extension modules. On the way three things are said to the compiler that Python
does not need: what is a constant, that an object compared by identity may be native, and that one kept from the
collector of cycles has none. The image does this; whoever runs from the checkout has the plain modules.
"""

import ast
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "matching_service"
CORE = "engine"
OPTIMISED = "3"


def core(folder: Path) -> list[str]:
    """Return the names of the modules that the engine is made of: itself and all that it imports of its package."""
    found: set[str] = set()
    waiting = [CORE]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(ast.parse((folder / f"{name}.py").read_text()), folder)
    return sorted(found)


def _imported(tree: ast.Module, folder: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{PACKAGE}."):
            names.append(node.module.removeprefix(f"{PACKAGE}."))
    return [name for name in names if (folder / f"{name}.py").exists()]


def told(source: str) -> str:
    """Return a module with what the compiler is told; run as Python it means the same."""
    tree = ast.parse(source)
    body: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            _make_native(statement)
        body += _constants(statement)
    at = 1 if body and isinstance(body[0], ast.Expr) else 0
    text = "\n".join(ast.unparse(statement) for statement in body)
    needed = (("from typing import Final", ": Final"), ("from mypy_extensions import mypyc_attr", "@mypyc_attr"))
    header = "\n".join(line for line, use in needed if use in text)
    tree.body = [*body[:at], *ast.parse(header).body, *body[at:]]
    return ast.unparse(ast.fix_missing_locations(tree))


def _constants(statement: ast.stmt) -> list[ast.stmt]:
    """Return an assignment of constants as one `Final` each: others are looked up by name at every use."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return [statement]
    target, value = statement.targets[0], statement.value
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=True))
    if not all(isinstance(name, ast.Name) and name.id.isupper() for name, _ in pairs):
        return [statement]
    return ast.parse("\n".join(f"{ast.unparse(name)}: Final = {ast.unparse(of)}" for name, of in pairs)).body


def _make_native(node: ast.ClassDef) -> None:
    """Let a Struct that is compared by identity be a native class, and a dataclass one without slots of its own."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "dataclass":
            decorator.keywords = [keyword for keyword in decorator.keywords if keyword.arg != "slots"]
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if [ast.unparse(base) for base in node.bases] != ["Struct"] or options.get("eq") != "False":
        return
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    parameters = ", ".join(ast.unparse(each) for each in fields)
    lines = "\n".join(f"    self.{ast.unparse(each.target)} = {ast.unparse(each.target)}" for each in fields)
    made = ast.parse(f"def __init__(self, {parameters}) -> None:\n{lines}").body
    rest = [each for each in node.body if each not in fields]
    at = 1 if isinstance(rest[0], ast.Expr) else 0
    node.body = [*rest[:at], *made, *rest[at:]]
    node.bases, node.keywords = [], []
    if options.get("gc") == "False":
        node.decorator_list.append(ast.parse("mypyc_attr(acyclic=True)", mode="eval").body)


def write(folder: Path) -> list[str]:
    """Write both packages to `folder`, the core as the compiler takes it; return the core's files."""
    kept = shutil.ignore_patterns("__pycache__", "*.so")
    for source in (ROOT / "layers" / "exchange" / "exchange", ROOT / PACKAGE):
        shutil.copytree(source, folder / source.name, dirs_exist_ok=True, ignore=kept)
    files = [f"{PACKAGE}/{name}.py" for name in core(folder / PACKAGE)]
    for file in files:
        path = folder / file
        path.write_text(told(path.read_text()))
    return files


def build(files: list[str]) -> None:
    """Compile `files`, relative to the working folder, in place; the plain ones stay beside, never imported."""
    setuptools = importlib.import_module("setuptools")
    mypycify = importlib.import_module("mypyc.build").mypycify
    extensions = mypycify([*files, "--ignore-missing-imports", "--no-warn-unused-ignores"], opt_level=OPTIMISED)
    arguments = ["build_ext", "--inplace", "--build-temp", "build"]
    setuptools.setup(name="core", packages=[], ext_modules=extensions, script_args=arguments)


def main(words: list[str]) -> int:
    """Write, compile and import; 1 where what came out is not the compiled core."""
    if words[:1] == ["--here"]:
        build(words[1:])
        return 0
    folder = Path(words[0]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = write(folder)
    command = [sys.executable, str(Path(__file__).resolve()), "--here", *files]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - built here
    shutil.rmtree(folder / "build", ignore_errors=True)
    modules = [folder / file for file in files]
    return 0 if all(list(path.parent.glob(f"{path.stem}.*.so")) for path in modules) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
