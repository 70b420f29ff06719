"""What is answered to a submission: once, in order, and no more than a frame holds."""

from exchange import wire
from exchange.commands import CancelOrder
from exchange.orders import FillRecord, Liquidity, Side
from exchange.outcomes import batch_document, order_outcome
from exchange.wire import Answer
from matching_service.submissions import Submission
from tests.unit.test_outcomes import RESTING
from tests.unit.test_requests_orders import MARKET

FILL = FillRecord(
    1, 7, 2, "1-" + "a" * 26, "acc_alice", "BTC-USD", Side.BUY, 10**11, 10**9, 10**17, 10**9, "BTC", Liquidity.TAKER,
    1_763_797_044_000_000,
)  # fmt: skip


class Asker:
    """Keeps the replies."""

    def __init__(self) -> None:
        self.replies: list[wire.Reply] = []

    def reply(self, message: wire.Reply) -> None:
        self.replies.append(message)


def answered(*fills: int) -> list[Answer]:
    asker = Asker()
    submission = Submission(asker, wire.Submit(1, [CancelOrder("", "", "")] * len(fills)))
    for place, count in enumerate(fills):
        submission.answer(place, Answer(7, order=RESTING, fills=[FILL] * count))
    (reply,) = asker.replies
    assert isinstance(reply, wire.Answers)
    assert len(wire.frame(reply)) < wire.MAX_FRAME_BYTES
    return reply.answers


def test_the_answers_to_fifty_orders_of_a_thousand_fills_each_fit_a_frame() -> None:
    results = batch_document([order_outcome(answer, MARKET, "r") for answer in answered(*[1000] * 50)])["results"]

    assert [len(result["fills"]) for result in results] == [1000] + [0] * 49
    assert [result.get("fills_truncated") for result in results] == [None] + [True] * 49


def test_an_answer_that_is_cut_in_the_middle_says_so_and_one_without_fills_does_not() -> None:
    results = batch_document([order_outcome(answer, MARKET, "r") for answer in answered(600, 0, 600, 0, 5)])["results"]

    assert [len(result["fills"]) for result in results] == [600, 0, 400, 0, 0]
    assert [result.get("fills_truncated") for result in results] == [None, None, True, None, True]


def test_a_thousand_fills_are_all_there() -> None:
    assert [len(answer.fills) for answer in answered(400, 600)] == [400, 600]
