"""The shared language of the exchange: orders, events, markets, errors and wire; it never imports another room."""
