"""spaGO's golden numbers, computed again by this library: ``scripts/parity DIR``."""
