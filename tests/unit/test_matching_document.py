"""The document of the matching rules: every example that it names is a test that runs."""

import re
from pathlib import Path

UNIT = Path(__file__).resolve().parent
DOCUMENT = UNIT.parent.parent / "docs" / "matching.md"


def test_every_example_in_the_document_of_matching_is_a_test() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    there = {
        name
        for path in UNIT.glob("*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert named - there == set()
    assert len(named) > 30
