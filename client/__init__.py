"""The SDK, command line and demo bots of the exchange: they speak the HTTP contract and never import another room."""
