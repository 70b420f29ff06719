"""A checkout below a folder that only root may enter: PostgreSQL, under another user, is made there all the same."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from local import postgres
from local.postgres import Server
from local.state import State


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_a_database_is_made_by_programs_that_its_user_may_not_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = postgres.binaries().parents[1]
    for part in package.parent.glob(f"{package.name}*"):  # its libraries stand beside it
        shutil.copytree(part, closed / part.name, symlinks=True)
    programs = closed / package.name / "pginstall" / "bin"
    state = closed / "state"
    state.mkdir()
    made = asyncio.run(postgres.at(closed / "data"))
    words = asyncio.run(postgres._user_words(postgres._account(made.data), programs, made.data))

    asyncio.run(postgres._make(Server(programs, made.data, words), State(state).secrets(), os.environ))

    assert (made.data / "PG_VERSION").exists()
