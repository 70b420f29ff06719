"""Which of the two servers of a database holds the truth, noted in `database.json`; it starts and stops none."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from local.state import write_private

NODES = ("postgres", "postgres-2")


@dataclass(frozen=True, slots=True)
class Roles:
    """Which server holds the truth, and whether the other has all that was acknowledged."""

    primary: str = NODES[0]
    is_promotable: bool = False

    def write(self, folder: Path) -> None:
        """Note the roles, durably."""
        write_private(folder / "database.json", json.dumps(asdict(self)))


def had_two(folder: Path) -> bool:
    """Tell whether this state ever had two servers."""
    return (folder / "database.json").exists()


def roles_of(folder: Path) -> Roles:
    """Return the roles as they were noted last; where none were, there is only the first server."""
    path = folder / "database.json"
    return Roles(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Roles()


def primary_data(folder: Path) -> Path:
    """Return where the truth is."""
    return folder / roles_of(folder).primary


def without_copy(folder: Path) -> Path:
    """Return where the truth is, once there is nothing but it: what is written from now on no copy has."""
    primary = roles_of(folder).primary
    for name in NODES:
        if name != primary and (folder / name).exists():
            Roles(primary, is_promotable=False).write(folder)
            shutil.rmtree(folder / name)
    return folder / primary
