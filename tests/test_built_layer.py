"""What `sam build` made of the layer, held against what a cold start on Lambda needs: byte code, and little time."""

import os
import py_compile
import subprocess
from pathlib import Path

import pytest

from tests.templates import ROOT

BUILT = ROOT / ".aws-sam" / "build"
LAYER = BUILT / "ExchangeLayer" / "python"
COLD_START_S = 0.4
TRIES = 5

MEASURE = """
import sys, time
began = time.process_time()
import app
print(time.process_time() - began, "boto3" in sys.modules, "opensearchpy" in sys.modules, "redis" in sys.modules)
"""

built = pytest.mark.skipif(not LAYER.exists(), reason="nothing is built: `make sam-build` does that")


def runtime() -> Path:
    found = subprocess.run(["sh", "local/runtime_python.sh"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    return Path(found.stdout.strip()) / "python3.13"


@built
def test_every_module_of_the_built_layer_has_byte_code_that_is_never_checked_against_its_source() -> None:
    sources = [path for path in LAYER.rglob("*.py") if path.stat().st_size]
    compiled = {path: path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources}

    assert len(sources) > 100
    assert [path.name for path, code in compiled.items() if not code.exists() and compiles(path)] == []
    flags = {int.from_bytes(code.read_bytes()[4:8], "little") for code in compiled.values() if code.exists()}
    assert flags == {0b01}


def compiles(path: Path) -> bool:
    try:
        py_compile.compile(str(path), cfile=os.devnull, doraise=True)
    except py_compile.PyCompileError:
        return False
    return True


@built
def test_the_trading_function_starts_cold_on_the_built_layer_within_400_ms_without_the_slow_libraries() -> None:
    environment = {"PYTHONPATH": f"{BUILT / 'TradingFunction'}:{LAYER}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(runtime()), "-c", MEASURE]

    said = [
        subprocess.run(command, cwd="/", env=environment, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(TRIES)
    ]

    assert min(float(words[0]) for words in said) < COLD_START_S
    assert {tuple(words[1:]) for words in said} == {("False", "False", "False")}
