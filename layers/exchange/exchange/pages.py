"""Lists a page at a time: opaque cursors, the limit, and the bound on an answer's size; it knows no table."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from exchange.errors import Rejected
from exchange.http import Document, text_of
from exchange.times import parse_time

DEFAULT_LIMIT = 100
MOST_LIMIT = 500
MOST_BYTES = 900_000
_ENVELOPE_BYTES = 200
_BIGINT = 2**63
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

Place = tuple[int | str, ...]
"""Where an entry stands in its list, which no other entry of it does: numbers, and a name where they do not suffice."""


def query_of(query: Mapping[str, str], *names: str) -> Mapping[str, str]:
    """Return the query when it has no other than these names; raise `Rejected` naming those it has."""
    unknown = tuple((name[:64], "is no parameter of this call") for name in query if name not in names)
    if unknown:
        raise Rejected("request.invalid", "The query has a parameter that this call does not know.", unknown)
    return query


def bad_query(name: str, rule: str) -> Rejected:
    """Return the 400 for one bad parameter."""
    return Rejected("request.invalid", f"{name} {rule}", ((name, rule),))


def number_of(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a whole number of 1 to `most`."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and text[0] != "0" and int(text) <= most):
        raise bad_query(name, f"must be a whole number of 1 to {most}")
    return int(text)


def limit_of(query: Mapping[str, str]) -> int:
    """Return how many entries are asked for."""
    return number_of(query, "limit", DEFAULT_LIMIT, MOST_LIMIT)


def choice_of(query: Mapping[str, str], name: str, choices: Sequence[str]) -> str | None:
    """Return one of `choices`, None where the query does not say."""
    value = query.get(name)
    if value is not None and value not in choices:
        raise bad_query(name, f"must be one of {', '.join(choices)}")
    return value


def time_of(query: Mapping[str, str], name: str) -> int | None:
    """Return a time in microseconds, None where the query does not say."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise bad_query(name, "must be an RFC 3339 time such as 2026-11-22T07:37:24.123456Z") from None


def cursor_text(kind: str, *place: int | str) -> str:
    """Return the cursor that continues a list of `kind` after the entry at `place`."""
    return _encoded(".".join((kind, *map(str, place))))


def cursor_place(query: Mapping[str, str], kind: str, width: int) -> tuple[int, ...] | None:
    """Return where a list goes on, None at its beginning; raise `Rejected` for what `cursor_text` never made."""
    parts = _cursor_parts(query, kind, width)
    return None if parts is None else tuple(map(_number, parts))


def named_cursor_place(query: Mapping[str, str], kind: str, width: int, form: re.Pattern[str]) -> Place | None:
    """Return the same for a list whose places are `width` numbers and then a name of this form."""
    parts = _cursor_parts(query, kind, width + 1)
    if parts is None:
        return None
    *numbers, name = parts
    if not form.fullmatch(name):
        raise _no_cursor()
    return (*map(_number, numbers), name)


def page(documents: Sequence[Document], places: Sequence[Place], kind: str, limit: int) -> str:
    """Print the first `limit` documents as a list; `places` are theirs, and there may be more than fit.

    A list ends early where the answer would exceed 900,000 bytes.
    """
    texts: list[str] = []
    size = _ENVELOPE_BYTES
    for document in documents[:limit]:
        text = text_of(document)
        size += len(text.encode()) + 1
        if size > MOST_BYTES:
            break
        texts.append(text)
    return page_of_texts(texts, places, kind, is_last=len(texts) == len(documents))


def page_of_texts(texts: Sequence[str], places: Sequence[Place], kind: str, is_last: bool) -> str:
    """Print ready-made documents as a list that goes on after the last of them, or does not."""
    cursor = "null" if is_last or not texts else f'"{cursor_text(kind, *places[len(texts) - 1])}"'
    return f'{{"data":[{",".join(texts)}],"next_cursor":{cursor}}}'


def _cursor_parts(query: Mapping[str, str], kind: str, width: int) -> list[str] | None:
    cursor = query.get("cursor")
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise _no_cursor() from None
    made_for, *parts = raw.split(".")
    if made_for != kind or len(parts) != width or _encoded(raw) != cursor:
        raise _no_cursor()
    return parts


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= _BIGINT:
        raise _no_cursor()
    return int(text)


def _encoded(raw: str) -> str:
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def _no_cursor() -> Rejected:
    return bad_query("cursor", "is none of this list")
