"""The demo: bots that quote and take on every market at a chosen rate, reported each second; it stops when told to."""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from client import credentials
from client.bots import Action, Market, Quoter, Reference, Taker, market_of
from client.connection import RequestWriter, Response, address_of
from client.funds import QUOTING_ACCOUNT, TAKING_ACCOUNTS, keep_funded
from client.latency import Histogram, percentiles
from client.load import NO_ANSWER, Clients, run
from client.sdk import Client, Document, Rejected, Unavailable

OPENING_PRICES = {"BTC": Decimal(60_000), "ETH": Decimal(3_000), "SOL": Decimal(150)}
"""Where the walk begins in a market that has not traded yet."""
TAKE_SHARE = 0.2
CONNECTIONS = 32
RESEND_S = 10.0
RESEND_PAUSE_S = 0.2


@dataclass(slots=True)
class Second:
    """What happened since the last report; `too_late` are quotes that were filled before their withdrawal."""

    latencies: list[float] = field(default_factory=list)
    answered: int = 0
    too_late: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    resends: int = 0


@dataclass(slots=True)
class Total:
    """What happened since the start."""

    latencies: Histogram = field(default_factory=Histogram)
    answered: int = 0
    too_late: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    resends: int = 0


@dataclass(frozen=True, slots=True)
class Seat:
    """A bot with the key that signs for it."""

    bot: Quoter | Taker
    writer: RequestWriter


class Demo:
    """All bots, their connections and the count of what they did."""

    def __init__(self, known: credentials.Credentials, markets: list[Market], clients: Clients) -> None:
        self._clients = clients
        self._chance = random.Random()  # noqa: S311 - it decides prices, not secrets
        self._markets = markets
        self._quoters: list[Seat] = []
        self._takers: list[Seat] = []
        self._public = RequestWriter(known.base_url)
        self._second = Second()
        self.total = Total()
        self.stop = asyncio.Event()
        writers = {name: RequestWriter(known.base_url, account.key) for name, account in known.accounts.items()}
        for market in markets:
            reference = Reference(market, self._chance)
            self._quoters.append(Seat(Quoter(market, reference, self._chance), writers[QUOTING_ACCOUNT]))
            for name in TAKING_ACCOUNTS:
                self._takers.append(Seat(Taker(market, reference, self._chance), writers[name]))

    @property
    def trades(self) -> int:
        """Trades that the bots made since the start."""
        return sum(seat.bot.trades for seat in self._takers if isinstance(seat.bot, Taker))

    async def act(self, number: int, due_times: "Schedule") -> None:
        """Send with connection `number` what is due, until told to stop."""
        while not self.stop.is_set():
            due = due_times.take()
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            seats = self._takers if self._chance.random() < TAKE_SHARE else self._quoters
            seat = self._chance.choice(seats)
            action = seat.bot.next_action()
            response = await self._answer(number, written(seat.writer, action))
            self._second.latencies.append(time.monotonic() - due)
            self._count(action, response)

    async def _answer(self, number: int, request: bytes) -> Response | None:
        give_up = time.monotonic() + RESEND_S
        while True:
            try:
                response = await self._clients.send(number, request)
                if response.status < 500 or response.status == 501:
                    return response
            except OSError:
                response = None
            if time.monotonic() > give_up or self.stop.is_set():
                return response
            self._second.resends += 1
            await asyncio.sleep(RESEND_PAUSE_S)

    def _count(self, action: Action, response: Response | None) -> None:
        status = NO_ANSWER if response is None else response.status
        document = parsed(response)
        action.answered(status, document)
        self._second.answered += 1
        if document.get("code") == "order.not_cancelable":
            self._second.too_late += 1
        elif not 200 <= status < 300:
            self._second.rejects[document.get("code") or ("no answer" if response is None else str(status))] += 1

    async def report(self) -> None:
        """Print a line each second."""
        previous, trades = time.monotonic(), self.trades
        while not self.stop.is_set():
            await asyncio.sleep(1)
            tickers = [await self._ticker(market) for market in self._markets]
            second = self.close_second()
            elapsed, previous = time.monotonic() - previous, time.monotonic()
            made, trades = self.trades - trades, self.trades
            sys.stdout.write(line(second, elapsed, made, tickers) + "\n")
            sys.stdout.flush()

    def close_second(self) -> Second:
        """Add the second under way to the total and begin the next; return it."""
        second, self._second = self._second, Second()
        self.total.latencies.add(second.latencies)
        self.total.answered += second.answered
        self.total.too_late += second.too_late
        self.total.rejects += second.rejects
        self.total.resends += second.resends
        return second

    async def _ticker(self, market: Market) -> Document:
        request = self._public.written(0, "GET", f"/v1/markets/{market.symbol}/ticker")
        try:
            document = parsed(await self._clients.send(len(self._clients) - 1, request))
        except OSError:
            document = {}
        return {"symbol": market.symbol, **document}


class Schedule:
    """The times at which requests are due: fixed beforehand, but never so far behind that a pause ends in a burst."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = time.monotonic()

    def take(self) -> float:
        """Return the next time, one second ago at the earliest."""
        due = max(self._next, time.monotonic() - 1)
        self._next = due + self._gap
        return due


def written(writer: RequestWriter, action: Action) -> bytes:
    """Sign an action as of now."""
    body = b"" if action.document is None else json.dumps(action.document, separators=(",", ":")).encode()
    query = "&".join(f"{name}={value}" for name, value in sorted(action.parameters.items()))
    return writer.written(time.time_ns() // 1_000_000, action.method, action.path, query, body)


def parsed(response: Response | None) -> Document:
    """Return the JSON object of a response, an empty one where it carries none."""
    try:
        document = json.loads(response.body) if response is not None else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def line(second: Second, elapsed: float, trades: int, tickers: list[Document]) -> str:
    """Print one second: rates, latencies, each market's last price and spread, rejects."""
    times = percentiles(second.latencies)
    parts = [
        time.strftime("%H:%M:%S"),
        f"{second.answered / elapsed:6.0f} answers/s {trades / elapsed:5.0f} trades/s",
        f"p50 {times.p50_ms:.1f} p95 {times.p95_ms:.1f} p99 {times.p99_ms:.1f} ms",
        *(f"{ticker['symbol']} {ticker.get('last_price') or '-'} spread {spread_text(ticker)}" for ticker in tickers),
    ]
    if second.too_late:
        parts.append(f"withdrawn too late {second.too_late}")
    if second.rejects:
        parts.append("rejects " + ", ".join(f"{code} {count}" for code, count in second.rejects.most_common()))
    if second.resends:
        parts.append(f"resends {second.resends}")
    return " | ".join(parts)


def spread_text(ticker: Document) -> str:
    """Print the distance of the best prices in basis points."""
    if not ticker.get("best_bid") or not ticker.get("best_ask"):
        return "-"
    bid, ask = Decimal(ticker["best_bid"]), Decimal(ticker["best_ask"])
    return f"{(ask - bid) / (ask + bid) * 20_000:.1f} bp"


def open_markets(client: Client) -> list[Market]:
    """Return the markets that have traded or whose base asset has an opening price here."""
    found = []
    for document in client.markets():
        last_price = client.ticker(document["symbol"])["last_price"]
        opening_price = Decimal(last_price) if last_price else OPENING_PRICES.get(document["base"])
        if opening_price is not None:
            found.append(market_of(document, opening_price))
    return found


def withdraw_quotes(known: credentials.Credentials, markets: list[Market]) -> None:
    """Cancel what the quoting account has in the markets."""
    with Client(known.base_url, known.account(QUOTING_ACCOUNT).key, deadline_s=5.0) as client:
        for market in markets:
            client.cancel_all(market.symbol)


async def play(known: credentials.Credentials, markets: list[Market], rate: float, seconds: float) -> Total:
    """Let the bots trade for `seconds`, or until interrupted where that is 0; return the totals."""
    async with Clients(*address_of(known.base_url), CONNECTIONS + 1) as clients:
        demo = Demo(known, markets, clients)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, demo.stop.set)
        schedule = Schedule(rate)
        watchers = [asyncio.create_task(demo.report()), asyncio.create_task(keep_funded(known, markets, demo.stop))]
        actors = [asyncio.create_task(demo.act(number, schedule)) for number in range(CONNECTIONS)]
        try:
            async with asyncio.timeout(seconds or None):
                await demo.stop.wait()
        except TimeoutError:
            demo.stop.set()
        await asyncio.wait(actors, timeout=2)
        for task in (*watchers, *actors):
            task.cancel()
        await asyncio.gather(*watchers, *actors, return_exceptions=True)
        demo.close_second()
        return demo.total


def main(words: list[str]) -> int:
    """Run the demo; return 1, the reason on standard error, where it could not start or end."""
    parser = argparse.ArgumentParser(prog="python -m client.demo", description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, default: %(default)s")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long, default: until interrupted")
    parser.add_argument("--credentials", type=Path, default=credentials.DEFAULT_PATH, help="default: %(default)s")
    arguments = parser.parse_args(words)
    if arguments.rate <= 0 or arguments.seconds < 0:
        parser.error("the rate must be above zero and the seconds not below")
    try:
        known = credentials.read(arguments.credentials)
        with Client(known.base_url) as client:
            markets = open_markets(client)
        total = run(play(known, markets, arguments.rate, arguments.seconds))
        withdraw_quotes(known, markets)
    except (ValueError, OSError, Rejected, Unavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    times = total.latencies.percentiles()
    rejects = ", ".join(f"{code} {count}" for code, count in total.rejects.most_common()) or "none"
    sys.stdout.write(
        f"{total.answered} answers, p50 {times.p50_ms:.1f} p95 {times.p95_ms:.1f} p99 {times.p99_ms:.1f} ms, "
        f"withdrawn too late {total.too_late}, rejects {rejects}, resends {total.resends}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
