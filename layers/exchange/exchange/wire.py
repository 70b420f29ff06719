"""The frames between an edge and a matching service: their form and meaning, never a socket.

A frame is a 4-byte big-endian length, then that many bytes: one version byte and one JSON array whose first item
names the message. A connection opens with `Hello`, answered by `Welcome`; after that requests may overlap, and each
is answered once, under its `id`, in any order.
"""

import struct
from typing import TypeVar

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from exchange.commands import Command
from exchange.events import Event
from exchange.orders import FillRecord, OrderRecord

VERSION = 1
MAX_FRAME_BYTES = 4 * 1024 * 1024
HEADER = struct.Struct(">I")
Message = TypeVar("Message")


class FrameError(Exception):
    """The peer sent what is no frame of this version; the connection is of no more use."""


class Hello(Struct, frozen=True, array_like=True, tag_field="message", tag="Hello"):
    """Open a connection: prove the deployment's secret."""

    secret: str


class Submit(Struct, frozen=True, array_like=True, tag_field="message", tag="Submit"):
    """Apply `commands` in order, each on its own; `test` only checks them and leaves no trace in the journal.

    `trace` is the X-Ray trace of the request, as Lambda names it, "" where there is none.
    """

    id: int
    commands: list[Command]
    test: bool = False
    trace: str = ""


class Look(Struct, frozen=True, array_like=True, tag_field="message", tag="Look"):
    """Ask the leader's committed copy for a market's book, ticker, trades or candles.{interval}."""

    id: int
    what: str
    symbol: str


class Welcome(Struct, frozen=True, array_like=True, tag_field="message", tag="Welcome"):
    """The secret was right; the peer leads `cell` in `epoch`."""

    cell: int
    epoch: int


class Answer(Struct, frozen=True, array_like=True):
    """What became of one command.

    `code` is None when it was done, else that of the refusal, `field` the field at fault. `sequence` and `time` are
    those of the command's first application, 0 where it left no trace. An order's command carries `order` and the
    fills of its own first sequence (at most 1,000), a cancel `order`. Others carry the `command` as it was first
    applied, the first 500 of each kind of its `events` but trades and new slices, in order, and how many orders it
    `canceled`. An amendment carries all of these, an OCO pair its first order as `order` and the other as `partner`.
    """

    sequence: int = 0
    time: int = 0
    replayed: bool = False
    code: str | None = None
    detail: str = ""
    field: str | None = None
    order: OrderRecord | None = None
    fills: list[FillRecord] = []
    command: Command | None = None
    events: list[Event] = []
    canceled: int = 0
    partner: OrderRecord | None = None


class Answers(Struct, frozen=True, array_like=True, tag_field="message", tag="Answers"):
    """One answer for each command of a `Submit`, in its order; all of it is committed."""

    id: int
    answers: list[Answer]


class Data(Struct, frozen=True, array_like=True, tag_field="message", tag="Data"):
    """The answer to a `Look`: ready-made JSON text, or None when there is no such market."""

    id: int
    json: str | None


class Failure(Struct, frozen=True, array_like=True, tag_field="message", tag="Failure"):
    """A request that got no answer: `reason` is not_leader, unavailable or busy; `execution` is none or unknown."""

    id: int
    reason: str
    execution: str


Request = Hello | Submit | Look
Reply = Welcome | Answers | Data | Failure

_encoder = Encoder()
_request_decoder = Decoder(Request)
_reply_decoder = Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    """Return the whole frame of a message."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body) + 1) + bytes((VERSION,)) + body


def body_length(header: bytes) -> int:
    """Return how many bytes follow the 4 of `header`; raise `FrameError` beyond the bound."""
    (length,) = HEADER.unpack(header)
    if not 1 < length <= MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes")
    return int(length)


def request_of(body: bytes) -> Request:
    """Decode the body of a frame that an edge sent; raise `FrameError` when it is none."""
    request: Request = _decoded(_request_decoder, body)
    return request


def reply_of(body: bytes) -> Reply:
    """Decode the body of a frame that a matching service sent; raise `FrameError` when it is none."""
    reply: Reply = _decoded(_reply_decoder, body)
    return reply


def _decoded(decoder: Decoder[Message], body: bytes) -> Message:
    if body[:1] != bytes((VERSION,)):
        raise FrameError(f"version {body[:1].hex()}, not {VERSION}")
    try:
        return decoder.decode(memoryview(body)[1:])
    except DecodeError as error:
        raise FrameError(str(error)) from None
