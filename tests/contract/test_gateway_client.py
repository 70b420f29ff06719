"""The edge's end of the wire before the real gateway: what is sent once, twice or not at all, and what comes of it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exchange import wire
from exchange.commands import AdvanceTime
from exchange.errors import Rejected, Unavailable
from exchange.gateway_client import GatewayClient, Leader
from matching_service.gateway import Session
from tests.servers import gateway

SECRET = "between us"
COMMAND = AdvanceTime()


class Desk:
    """A leader that follows a script: one reaction a submission, the last one again and again."""

    def __init__(self, *reactions: str, leads: bool = True) -> None:
        self.reactions = list(reactions) or ["answer"]
        self.leads = leads
        self.submissions = 0
        self.sessions = 0

    def welcome(self) -> wire.Welcome | None:
        self.sessions += 1
        return wire.Welcome(1, 1) if self.leads else None

    def submit(self, session: Session, request: wire.Submit) -> None:
        self.submissions += 1
        reaction = self.reactions.pop(0) if len(self.reactions) > 1 else self.reactions[0]
        if reaction == "answer":
            session.reply(wire.Answers(request.id - 1, []))
            session.reply(wire.Answers(request.id, [wire.Answer(sequence=7)] * len(request.commands)))
        elif reaction == "close":
            session.cut_off("the script says so")
        elif reaction != "silence":
            reason, _, execution = reaction.partition(" ")
            session.reply(wire.Failure(request.id, reason, execution))

    def look(self, request: wire.Look) -> wire.Data:
        return wire.Data(request.id, f'"{request.what} of {request.symbol}"' if request.symbol else None)


class Directory:
    """Leaders in the order in which they are asked for, the last one again and again."""

    def __init__(self, *leaders: Leader | None) -> None:
        self.leaders = list(leaders)
        self.asked: list[bool] = []

    def leader(self, after_failure: bool) -> Leader | None:
        self.asked.append(after_failure)
        return self.leaders.pop(0) if len(self.leaders) > 1 else self.leaders[0]


@contextmanager
def leading(desk: Desk) -> Iterator[Leader]:
    with gateway(desk, SECRET) as (endpoint, certificate):
        host, _, port = endpoint.rpartition(":")
        yield Leader(host, int(port), certificate)


@contextmanager
def client(*leaders: Leader | None, secret: str = SECRET, timeout_ms: int = 1000) -> Iterator[GatewayClient]:
    made = GatewayClient(Directory(*leaders), secret, timeout_ms)
    yield made
    made.close()


def nobody() -> Leader:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return Leader("127.0.0.1", closed.getsockname()[1], "00" * 32)


def failure(asked: GatewayClient) -> str:
    with pytest.raises(Unavailable) as raised:
        asked.submit([COMMAND])
    return raised.value.execution


def test_commands_are_answered_over_one_kept_connection() -> None:
    desk = Desk()
    with leading(desk) as leader, client(leader) as asked:
        assert asked.submit([COMMAND, COMMAND]) == [wire.Answer(sequence=7)] * 2
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]
        assert asked.look("book", "BTC-USD") == '"book of BTC-USD"'
        assert asked.look("book", "") is None

    assert (desk.sessions, desk.submissions) == (1, 2)


def test_a_leader_that_moved_is_found_by_reading_the_lease_anew() -> None:
    desk = Desk()
    with leading(desk) as leader:
        directory = Directory(nobody(), leader)
        asked = GatewayClient(directory, SECRET, 1000)

        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]
        asked.close()

    assert directory.asked == [False, True]


def test_where_nobody_serves_nothing_happened() -> None:
    with client(nobody()) as asked:
        assert failure(asked) == "none"
    with client(None) as asked:
        assert failure(asked) == "none"


def test_one_that_does_not_lead_has_done_nothing() -> None:
    with leading(Desk(leads=False)) as leader, client(leader) as asked:
        assert failure(asked) == "none"


def test_one_that_stopped_leading_is_left_for_the_next() -> None:
    former, desk = Desk("not_leader none"), Desk()
    with leading(former) as first, leading(desk) as second, client(first, second) as asked:
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]

    assert (former.submissions, desk.submissions) == (1, 1)


def test_the_next_leader_is_looked_for_while_the_lease_still_names_the_former() -> None:
    former, desk = Desk("not_leader none"), Desk()
    with leading(former) as first, leading(desk) as second, client(first, first, None, first, second) as asked:
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]

    assert (former.submissions, desk.submissions) == (1, 1)


def test_what_may_have_been_taken_is_sent_to_whoever_leads_later_within_the_bound() -> None:
    former, desk = Desk("close"), Desk()
    with leading(former) as first, leading(desk) as second, client(first, *[None] * 20, second) as asked:
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]

    assert (former.submissions, desk.submissions) == (1, 1)


def test_a_wrong_secret_is_cut_off_and_nothing_happened() -> None:
    desk = Desk()
    with leading(desk) as leader, client(leader, secret="guess") as asked:
        assert failure(asked) == "none"

    assert desk.submissions == 0


def test_another_certificate_than_the_published_one_gets_no_secret() -> None:
    desk = Desk()
    with leading(desk) as leader, client(Leader(leader.host, leader.port, "00" * 32)) as asked:
        assert failure(asked) == "none"

    assert desk.sessions == 0


def test_a_command_whose_answer_was_lost_is_sent_once_more() -> None:
    desk = Desk("close", "answer")
    with leading(desk) as leader, client(leader) as asked:
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]

    assert (desk.sessions, desk.submissions) == (2, 2)


def test_a_command_that_is_not_answered_twice_is_unknown() -> None:
    desk = Desk("close")
    with leading(desk) as leader, client(leader) as asked:
        assert failure(asked) == "unknown"

    assert desk.submissions == 2


def test_a_silent_leader_is_left_in_time_for_another() -> None:
    frozen, desk = Desk("silence"), Desk()
    with leading(frozen) as first, leading(desk) as second, client(first, second, timeout_ms=500) as asked:
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]

    assert (frozen.submissions, desk.submissions) == (1, 1)


def test_a_command_that_was_sent_is_unknown_although_nobody_serves_any_more() -> None:
    with leading(Desk("close")) as leader, client(leader, nobody()) as asked:
        assert failure(asked) == "unknown"


def test_silence_is_unknown_within_the_bound() -> None:
    with leading(Desk("silence")) as leader, client(leader, timeout_ms=200) as asked:
        assert failure(asked) == "unknown"


@pytest.mark.parametrize(
    ("reaction", "execution", "most"), [("unavailable none", "none", 11), ("unavailable unknown", "unknown", 2)]
)
def test_a_leader_that_gives_up_says_what_it_knows(reaction: str, execution: str, most: int) -> None:
    desk = Desk(reaction)
    with leading(desk) as leader, client(leader) as asked:
        assert failure(asked) == execution

    assert 2 <= desk.submissions <= most


def test_a_leader_that_takes_no_more_is_a_429() -> None:
    desk = Desk("busy none", "answer")
    with leading(desk) as leader, client(leader) as asked:
        with pytest.raises(Rejected) as raised:
            asked.submit([COMMAND])
        assert asked.submit([COMMAND]) == [wire.Answer(sequence=7)]

    assert (raised.value.code, desk.submissions, desk.sessions) == ("rate.limited", 2, 1)


def test_a_connection_that_died_between_two_calls_is_replaced_and_nothing_sent_twice() -> None:
    first_desk, second_desk = Desk(), Desk()
    with leading(second_desk) as second:
        with leading(first_desk) as first:
            asked = GatewayClient(Directory(first, second), SECRET, 1000)
            asked.submit([COMMAND])
        asked.submit([COMMAND])
        asked.close()

    assert (first_desk.submissions, second_desk.submissions) == (1, 1)


def test_an_answer_to_something_else_is_passed_over() -> None:
    with leading(Desk("answer")) as leader, client(leader) as asked:
        assert [asked.submit([COMMAND]) for _ in range(3)] == [[wire.Answer(sequence=7)]] * 3


def test_one_that_speaks_no_tls_is_no_leader() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        leader = Leader("127.0.0.1", plain.getsockname()[1], "00" * 32)
        asked = GatewayClient(Directory(leader), SECRET, 200)

        assert failure(asked) == "none"
