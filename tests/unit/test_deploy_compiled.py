"""What the compiler is told about the pure core: the same modules, with nothing that changes what they mean."""

import ast
import subprocess
import sys
from pathlib import Path

from deploy import compiled

SERVICE = Path("matching_service")


def test_the_core_is_the_engine_and_all_that_it_imports_of_its_package() -> None:
    found = compiled.core(SERVICE)

    assert {"engine", "book", "accounts", "state", "settlement", "snapshot"} <= set(found)
    assert {"journal", "leader", "service", "gateway", "database"} & set(found) == set()


def test_the_compiler_would_take_the_core_as_it_is(tmp_path: Path) -> None:
    files = compiled.write(tmp_path)

    command = (sys.executable, "-m", "mypy", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache"), *files)
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert checked.returncode == 0, checked.stdout


def test_constants_become_final_each_for_itself() -> None:
    told = compiled.told('"""Doc."""\nBUY, SELL = 1, 2\nLIMIT = 3\nname = 4\n')

    assert told.splitlines() == [
        '"""Doc."""',
        "from typing import Final",
        "BUY: Final = 1",
        "SELL: Final = 2",
        "LIMIT: Final = 3",
        "name = 4",
    ]


def test_a_struct_compared_by_identity_becomes_a_native_class_with_the_same_fields() -> None:
    source = "class Order(Struct, gc=False, eq=False):\n    '''Doc.'''\n    lots: int\n    fee: int = 0\n"

    told = ast.unparse(ast.parse(compiled.told(source)).body[-1])

    assert told == ast.unparse(
        ast.parse(
            "@mypyc_attr(acyclic=True)\nclass Order:\n    '''Doc.'''\n"
            "    def __init__(self, lots: int, fee: int=0) -> None:\n        self.lots = lots\n        self.fee = fee"
        )
    )


def test_a_struct_compared_by_value_stays_as_it_is() -> None:
    source = "class Clearing(Struct, frozen=True, gc=False):\n    lots: int"

    assert ast.unparse(ast.parse(compiled.told(source)).body[-1]) == source


def test_a_dataclass_loses_its_slots_alone() -> None:
    source = "@dataclass(slots=True, eq=False)\nclass Balance:\n    held: int = 0"

    assert ast.unparse(ast.parse(compiled.told(source)).body[-1]) == source.replace("slots=True, ", "")
