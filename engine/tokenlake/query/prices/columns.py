"""The price tables that every connection has: their columns and types."""

from __future__ import annotations

PRICE_TABLES: dict[str, dict[str, str]] = {
    "prices": {
        "model": "VARCHAR",
        "provider": "VARCHAR",
        "valid_from": "DATE",
        "valid_to": "DATE",
        "prompt_from": "BIGINT",
        "prompt_to": "BIGINT",
        "input": "DECIMAL(12,6)",
        "output": "DECIMAL(12,6)",
        "cache_write_5m": "DECIMAL(12,6)",
        "cache_write_1h": "DECIMAL(12,6)",
        "cache_read": "DECIMAL(12,6)",
        "web_search": "DECIMAL(12,6)",
        "source": "VARCHAR",
        "source_version": "VARCHAR",
    },
    "price_aliases": {
        "name": "VARCHAR",
        "price_model": "VARCHAR",
        "name_rank": "BIGINT",
        "valid_from": "DATE",
        "valid_to": "DATE",
    },
    "price_factors": {
        "kind": "VARCHAR",
        "model": "VARCHAR",
        "valid_from": "DATE",
        "valid_to": "DATE",
        "factor": "DECIMAL(9,3)",
        "source": "VARCHAR",
    },
    "price_sources": {"source": "VARCHAR"},
}
"""The tables that prices are, with the types of their columns."""
