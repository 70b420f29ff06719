"""Bodies as typed forms: JSON, then pydantic, then 422s that name every bad field; it never asks what they mean."""

import json
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from exchange import amounts
from exchange.errors import Rejected, invalid_field
from exchange.http import HttpRequest
from exchange.times import parse_time

MEDIA_TYPE = "application/json"
MOST_ERRORS = 50
MOST_NAME = 64
BELOW_BOUND = "must be less than 10^18 units of the asset"


class Form(BaseModel):
    """A body: nothing is converted, and a field it does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


FormType = TypeVar("FormType", bound=Form)


def _scaled(value: object) -> int:
    """Return a decimal string as an integer of 10^-18."""
    if not isinstance(value, str):
        raise ValueError('must be a decimal string such as "1.50", not a number or anything else')  # noqa: TRY004
    return amounts.parse(value, amounts.MAX_DECIMALS)


def _positive(value: object) -> int:
    scaled = _scaled(value)
    if scaled == 0:
        raise ValueError("must be above zero")
    return scaled


def _signed(value: object) -> int:
    """Return a decimal string that may be below zero as an integer of 10^-18."""
    if isinstance(value, str) and value.startswith("-"):
        return -_positive(value[1:])
    return _scaled(value)


def _moment(value: object) -> int:
    try:
        return parse_time(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be an RFC 3339 time such as 2026-11-22T07:37:24.123456Z") from None


Scaled = Annotated[int, PlainValidator(_scaled)]
"""A decimal string, as an integer of 10^-18."""
Positive = Annotated[int, PlainValidator(_positive)]
"""The same above zero."""
Signed = Annotated[int, PlainValidator(_signed)]
"""The same, below zero where a sign says so."""
Moment = Annotated[int, PlainValidator(_moment)]
"""An RFC 3339 time, in microseconds."""


def json_of(request: HttpRequest) -> Any:
    """Return the body as JSON; raise `Rejected` 415 for another media type, 400 for what is not JSON."""
    _check_media_type(request)
    try:
        value = _decoder.decode(request.body.decode())
        if b"\\u" in request.body:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Rejected("request.invalid", f"The body is not JSON: {_why(error)}.") from None
    return value


def form_of(kind: type[FormType], value: Any) -> FormType:
    """Return `value` as a form; raise `Rejected` 422 naming every bad and every unknown field."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        fields = tuple(_field_error(problem) for problem in error.errors(include_url=False)[:MOST_ERRORS])
        raise bad_fields(fields) from None


def units_of(scaled: int, decimals: int, field: str) -> int:
    """Return an amount in asset units; raise `Rejected` naming `field` where the asset cannot hold it."""
    units, rest = divmod(scaled, amounts.POWERS[amounts.MAX_DECIMALS - decimals])
    if rest:
        raise invalid_field(field, f"must have at most {decimals} decimals")
    if units >= amounts.UNITS_BOUND:
        raise invalid_field(field, BELOW_BOUND)
    return units


def bad_fields(fields: tuple[tuple[str, str], ...], code: str = "request.invalid") -> Rejected:
    """Return the 422 for these fields and their rules."""
    return Rejected(code, "; ".join(f"{name} {rule}" for name, rule in fields[:3]), fields, status=422)


def not_built(*fields: str) -> Rejected:
    """Return the 501 for what is well-formed and comes later."""
    what = f"{' and '.join(fields)} with this value" if fields else "This call"
    return Rejected(
        "request.not_implemented", f"{what} is not built yet.", tuple((f, "is not built yet") for f in fields)
    )


def _check_media_type(request: HttpRequest) -> None:
    sent = request.header("content-type")
    if sent is None or sent == MEDIA_TYPE:
        return
    kind, _, parameters = sent.partition(";")
    parameter = parameters.replace(" ", "").replace('"', "").lower()
    if kind.strip().lower() != MEDIA_TYPE or parameter not in ("", "charset=utf-8", "charset=utf8"):
        raise Rejected("request.media_type", "The body must be application/json in UTF-8.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated in an object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error) if "digits" not in str(error) else "a number is too long"


def _field_error(problem: Any) -> tuple[str, str]:
    name = ".".join(str(part) for part in problem["loc"])[:MOST_NAME] or "body"
    match problem["type"]:
        case "missing":
            return name, "is required"
        case "extra_forbidden":
            return name, "is not a field of this request"
        case "value_error":
            return name, str(problem["ctx"]["error"])
        case "model_type" | "model_attributes_type":
            return name, "must be an object"
    message: str = problem["msg"]
    return name, message.replace("Input should be", "must be").replace("Input should have", "must have")
