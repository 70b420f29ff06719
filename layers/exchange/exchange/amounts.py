"""Exact decimal text to and from integers; never a float, never a rounding.

Inside the exchange an amount is an `int` in units (10^-decimals of an asset), a price an `int` in ticks and a
quantity an `int` in lots. At the border they are decimal strings of the form that `DECIMAL` accepts.
"""

import re
from functools import lru_cache

DECIMAL = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII)
MAX_DECIMALS = 18
POWERS: tuple[int, ...] = tuple(10**n for n in range(2 * MAX_DECIMALS + 1))
UNITS_BOUND = 10**18
"""No amount, balance or price x quantity reaches this many asset units."""


def parse(text: str, decimals: int) -> int:
    """Return `text` as an integer of 10^-decimals.

    Raise `ValueError`, its text naming the rule, where `text` is no decimal of the accepted form or has digits
    beyond `decimals` that are not zero.
    """
    if not isinstance(text, str) or not DECIMAL.fullmatch(text):
        raise ValueError('must be a decimal string such as "1.50", without sign or exponent')
    whole, _, fraction = text.partition(".")
    kept, beyond = fraction[:decimals], fraction[decimals:]
    if beyond.strip("0"):
        raise ValueError(f"must have at most {decimals} decimals")
    return int(whole) * POWERS[decimals] + int(kept.ljust(decimals, "0") or "0")


def text(units: int, decimals: int) -> str:
    """Print `units` of 10^-decimals with exactly `decimals` decimals, trailing zeros kept."""
    if decimals == 0:
        return str(units)
    sign, digits = ("-", str(-units)) if units < 0 else ("", str(units))
    digits = digits.rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def trimmed(units: int, decimals: int) -> str:
    """Print `units` of 10^-decimals without trailing zeros, as rates are printed."""
    printed = text(units, decimals)
    return printed.rstrip("0").rstrip(".") if "." in printed else printed


@lru_cache(1024)
def decimals_of(scaled: int) -> int:
    """Return how many decimals the value `scaled` x 10^-18 needs: 10^16 (0.01) needs 2."""
    decimals = MAX_DECIMALS
    while decimals and scaled % 10 == 0:
        scaled //= 10
        decimals -= 1
    return decimals


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator` rounded half to even; both are positive or zero, the denominator not zero."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def divide_up(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator` rounded up, as fees are."""
    return -(-numerator // denominator)
