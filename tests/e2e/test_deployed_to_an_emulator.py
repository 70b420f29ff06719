"""The real `sam deploy` of the real template, as far as an emulator goes."""

import subprocess
import sys

import pytest

from tests.templates import ROOT


@pytest.mark.long
def test_an_order_is_filled_through_the_load_balancer_that_sam_deployed() -> None:
    if not (ROOT / ".venv-emulator" / "bin" / "ministack").exists():
        pytest.skip("the emulator is not installed: `make deploy-local` does that, and builds")

    said = subprocess.run(
        [sys.executable, "-m", "deploy.local_deployment"], cwd=ROOT, capture_output=True, text=True, timeout=900
    )

    assert said.returncode == 0, said.stderr
    assert "the matching service leads" in said.stdout
    assert said.stdout.splitlines()[-1] == "GET /v1/markets/BTC-USD/trades: 200, one trade"
