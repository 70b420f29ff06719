"""The error codes of the HTTP contract and the two errors that carry them; a bug is neither and rises by itself."""

STATUS_OF_CODE = {
    "request.invalid": 400,
    "auth.missing": 401,
    "auth.invalid_key": 401,
    "auth.bad_signature": 401,
    "auth.expired": 401,
    "auth.forbidden": 403,
    "resource.not_found": 404,
    "request.not_found": 404,
    "request.method": 405,
    "order.duplicate_mismatch": 409,
    "admin.duplicate_mismatch": 409,
    "request.too_large": 413,
    "request.media_type": 415,
    "order.price_tick": 422,
    "order.lot_size": 422,
    "order.combination": 422,
    "order.insufficient_funds": 422,
    "order.min_notional": 422,
    "order.max_quantity": 422,
    "order.price_band": 422,
    "order.market_closed": 422,
    "order.would_cross": 422,
    "order.would_trigger": 422,
    "order.not_cancelable": 422,
    "order.too_many_open": 422,
    "account.suspended": 422,
    "engine.refused": 422,
    "rate.limited": 429,
    "request.not_implemented": 501,
    "engine.unavailable": 503,
}
"""Every code with its status; `request.invalid` is 422 where a field of a well-formed body is at fault."""

DETAIL_OF_CODE = {
    "order.insufficient_funds": "The available balance does not cover the order.",
    "order.min_notional": "The order is worth less than the market's min_notional.",
    "order.max_quantity": "The order exceeds the market's max_quantity.",
    "order.market_closed": "The market takes no orders now.",
    "order.price_band": "The price is too far from the market's reference.",
    "account.suspended": "The account may not do this now.",
    "order.would_cross": "A post_only order must not match at once.",
    "order.would_trigger": "The stop price is on the wrong side of the market: the order would trigger at once.",
    "order.combination": "These do not go together.",
    "order.price_tick": "The price must be a multiple of the market's tick_size.",
    "order.lot_size": "The quantity must be a multiple of the market's lot_size.",
    "order.not_cancelable": "The order is done already.",
    "order.too_many_open": "The account has 1,000 open orders in this market.",
    "order.duplicate_mismatch": "The client_order_id was used for another order.",
    "admin.duplicate_mismatch": "The name or reference was used for something else.",
    "resource.not_found": "There is no such object.",
    "engine.refused": "The engine refused the command.",
}


class Rejected(Exception):  # noqa: N818 - the word of the house for the three kinds
    """The participant's fault: answered with `code`, its status, and the bad fields as `(field, message)` pairs."""

    def __init__(self, code: str, detail: str, fields: tuple[tuple[str, str], ...] = (), status: int | None = None):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fields = fields
        self.status = status or STATUS_OF_CODE[code]


class Unavailable(Exception):  # noqa: N818
    """Our fault: 503, safe to send again; `execution` is "none" only when it is certain that nothing happened."""

    def __init__(self, detail: str, execution: str = "unknown", retry_after_s: int = 1):
        super().__init__(detail)
        self.detail = detail
        self.execution = execution
        self.retry_after_s = retry_after_s


def invalid_field(field: str, message: str, code: str = "request.invalid") -> Rejected:
    """Return the 422 for one bad field of a well-formed body."""
    return Rejected(code, f"{field} {message}", ((field, message),), status=422)
