"""The door for signed requests: signature, scope, address, then the rate limit; what lies behind is not its matter."""

import time
from collections.abc import Callable
from functools import partial

from exchange.auth import Authenticator, Caller
from exchange.clients import Clients
from exchange.http import HttpRequest
from exchange.keys import KeyRing
from exchange.stores.api_keys import api_key

KEY_WITHIN_S = 1.0
"""How long a key is waited for: without it the request can only be refused."""


class Gate:
    """Lets callers through, by what they want to do."""

    def __init__(self, clients: Clients):
        settings = clients.settings
        load = partial(api_key, clients.within(KEY_WITHIN_S), settings.cell)
        keys = KeyRing(load, settings.key_encryption_key, time.monotonic)
        self._limiter = clients.limiter
        self._authenticator = Authenticator(keys, lambda: time.time_ns() // 1_000_000)

    def reader(self, request: HttpRequest, scope: str = "read") -> Caller:
        """Let a caller read."""
        caller = self._authenticator.caller(request, scope)
        self._limiter.read(request, caller.api_key)
        return caller

    def changer(self, request: HttpRequest, scope: str = "trade", cost: Callable[[], int] = lambda: 1) -> Caller:
        """Let a caller change something; `cost` is asked once the signature is found right."""
        caller = self._authenticator.caller(request, scope)
        self._limiter.mutation(request, caller.api_key, cost())
        return caller

    def canceler(self, request: HttpRequest) -> Caller:
        """Let a caller cancel, for which some tokens are always kept."""
        caller = self._authenticator.caller(request, "trade")
        self._limiter.cancel(request, caller.api_key)
        return caller
