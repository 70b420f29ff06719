"""The command line of a trader or an operator: one call, its answer as JSON; it keeps nothing between calls."""

import argparse
import json
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from client import credentials
from client.sdk import Client, Document, Rejected, Unavailable

Command = Callable[[Client, argparse.Namespace], Any]


def order_of(arguments: argparse.Namespace) -> Document:
    """Return the order that the arguments of `place` and `test` describe; what was not given is left out."""
    given: Document = {
        "symbol": arguments.symbol,
        "side": arguments.side,
        "type": arguments.type or ("limit" if arguments.price else "market"),
        "quantity": arguments.quantity,
        "quote_quantity": arguments.quote_quantity,
        "price": arguments.price,
        "stop_price": arguments.stop_price,
        "trailing_delta": arguments.trailing_delta,
        "time_in_force": arguments.time_in_force,
        "expire_time": arguments.expire_time,
        "post_only": arguments.post_only or None,
        "display_quantity": arguments.display_quantity,
        "self_trade_prevention": arguments.self_trade_prevention,
        "client_order_id": arguments.client_order_id,
    }
    return {name: value for name, value in given.items() if value is not None}


COMMANDS: dict[str, tuple[str, Command]] = {
    "place": ("place an order", lambda client, given: client.place(order_of(given))),
    "test": ("check an order without placing it", lambda client, given: client.test(order_of(given))),
    "amend": (
        "change the quantity or the price of one order",
        lambda client, given: client.amend(given.order_id, given.quantity, given.price),
    ),
    "cancel": ("cancel one order", lambda client, given: client.cancel(given.order_id)),
    "cancel-all": ("cancel all open orders", lambda client, given: client.cancel_all(given.symbol, given.side)),
    "cancel-all-after": (
        "arm the dead man's switch, 0 disarms it",
        lambda client, given: client.cancel_all_after(given.timeout_ms),
    ),
    "order": ("show one order", lambda client, given: client.order(given.order_id)),
    "orders": (
        "list the newest orders",
        lambda client, given: newest(client.orders(given.status, given.symbol), given.limit),
    ),
    "fills": ("list the newest fills", lambda client, given: newest(client.fills(given.symbol), given.limit)),
    "ledger": ("list the newest entries", lambda client, given: newest(client.ledger(given.asset), given.limit)),
    "balances": ("show the balances", lambda client, _: client.balances()),
    "account": ("show the account", lambda client, _: client.account()),
    "markets": ("list the markets", lambda client, _: client.markets()),
    "ticker": ("show a market's ticker", lambda client, given: client.ticker(given.symbol)),
    "book": ("show a market's book", lambda client, given: client.book(given.symbol, given.depth)),
    "trades": ("list the newest trades", lambda client, given: newest(client.trades(given.symbol), given.limit)),
    "call": (
        "send any signed call",
        lambda client, given: client.call(
            given.method.upper(), given.path, dict(given.query), json.loads(given.body) if given.body else None
        ),
    ),
}


def newest(entries: Any, limit: int) -> list[Document]:
    """Return the first `limit` entries of a list that pages."""
    return list(islice(entries, limit))


def pair(text: str) -> tuple[str, str]:
    """Split `name=value`."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="python -m client", description="Talk to the exchange as one account.")
    parser.add_argument("--credentials", type=Path, default=credentials.DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument("--account", default="alice", help="who signs, default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    added = {name: commands.add_parser(name, help=text, description=text) for name, (text, _) in COMMANDS.items()}
    for name in ("place", "test"):
        add_order_arguments(added[name])
    for name in ("amend", "cancel", "order"):
        added[name].add_argument("order_id")
    for name in ("ticker", "book", "trades"):
        added[name].add_argument("symbol")
    for name in ("cancel-all", "orders", "fills"):
        added[name].add_argument("--symbol")
    for name in ("orders", "fills", "ledger", "trades"):
        added[name].add_argument("--limit", type=int, default=20, help="default: %(default)s")
    added["amend"].add_argument("--quantity", help="the new total")
    added["amend"].add_argument("--price")
    added["cancel-all-after"].add_argument("timeout_ms", type=int)
    added["cancel-all"].add_argument("--side", choices=("buy", "sell"))
    added["orders"].add_argument("--status")
    added["ledger"].add_argument("--asset")
    added["book"].add_argument("--depth", type=int, default=10, help="default: %(default)s")
    added["call"].add_argument("method")
    added["call"].add_argument("path")
    added["call"].add_argument("body", nargs="?", help="JSON")
    added["call"].add_argument("--query", type=pair, action="append", default=[], metavar="NAME=VALUE")
    return parser


def add_order_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command describe an order: `place BTC-USD buy 0.01 60000`, a market order without a price."""
    parser.add_argument("symbol")
    parser.add_argument("side", choices=("buy", "sell"))
    parser.add_argument("quantity", nargs="?")
    parser.add_argument("price", nargs="?")
    parser.add_argument("--quote-quantity", help="of a market buy, in place of the quantity")
    parser.add_argument("--type", help="default: limit with a price, else market")
    parser.add_argument("--stop-price", help="of a stop or a take-profit order")
    parser.add_argument("--trailing-delta", help="of a trailing stop: a distance of prices")
    parser.add_argument("--time-in-force", choices=("gtc", "ioc", "fok", "gtd", "day"))
    parser.add_argument("--expire-time", help="of time in force gtd, such as 2027-01-01T00:00:00Z")
    parser.add_argument("--post-only", action="store_true")
    parser.add_argument("--display-quantity", help="of an iceberg: what the book shows of it at a time")
    parser.add_argument(
        "--self-trade-prevention", choices=("cancel_newest", "cancel_oldest", "cancel_both", "decrement")
    )
    parser.add_argument("--client-order-id")


def main(words: list[str]) -> int:
    """Run one command; return 1, the reason on standard error, where it was refused or not answered."""
    arguments = argument_parser().parse_args(words)
    try:
        known = credentials.read(arguments.credentials)
        with Client(known.base_url, known.account(arguments.account).key) as client:
            answer = COMMANDS[arguments.command][1](client, arguments)
    except Rejected as error:
        sys.stderr.write(f"{error}\n{json.dumps(error.problem, indent=2)}\n")
        return 1
    except (Unavailable, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
