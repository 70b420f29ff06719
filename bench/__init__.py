"""Measurements of the exchange, each beside its limit in the same run; nothing that serves imports them."""
