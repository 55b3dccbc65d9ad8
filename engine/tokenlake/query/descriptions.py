"""What is said of the tables and views that have no file: price tables, and views that stand for a setting."""

from __future__ import annotations

from tokenlake.schema import REQUEST_SUMS

GENERATED = {
    "deduped": "requests under the dedup mode asked for (--dedup), every one of the lake",
    "logged_models": "model name that the requests may hold",
    "requests_of_mode": "requests under the dedup mode, and whether their logged cost counts (--cost-mode)",
    "sums_of_mode": "requests under the dedup mode that share session, quarter hour and price, summed; or a single one",
    "transcripts": "transcript known to the lake: a row of `files` of no other kind",
    "selected": "requests under the dedup mode that pass the filters",
    "selected_costs": "requests with their cost that pass the filters: what reports of cost read",
    "selected_sums": "requests under the dedup mode that pass the filters, summed: what reports of totals read",
    "selected_cost_sums": "sums of requests with their cost that pass the filters: what reports of total cost read",
    "selected_chains": "requests with their place in the chain that pass the filters; chains are made before them",
}
"""What a row is of the views that `views.generated` makes; of the others of views.FILTERED, see there."""

GENERATED_COLUMNS: dict[str, dict[str, str]] = {
    "requests_of_mode": {
        "logged_pico": "cost as logged, in picodollars (1e-12 dollars), where the cost mode takes it",
        "is_calculated": "the price table counts for the request",
    },
    "sums_of_mode": {
        **{column.name: column.text for column in REQUEST_SUMS.columns},
        "logged_pico": "cost as logged, in picodollars (1e-12 dollars), where the cost mode takes it",
        "is_calculated": "the price table counts for the requests",
    },
}
"""Their columns that no table or view has."""

PRICES: dict[str, tuple[str, dict[str, str]]] = {
    "prices": (
        "price of a model on some days, for requests of some context (accounting rule 19)",
        {
            "model": "model, as the prices name it",
            "provider": "who sells it at this price",
            "valid_from": "first UTC day, null where there is no bound",
            "valid_to": "last UTC day, null where there is no bound",
            "prompt_from": "least tokens of context for which it holds",
            "prompt_to": "most tokens of context for which it holds, null where there is no bound",
            "input": "dollars per million tokens of uncached input",
            "output": "dollars per million tokens of output",
            "cache_write_5m": "dollars per million tokens written to the 5-minute cache; null: what input does",
            "cache_write_1h": "dollars per million tokens written to the 1-hour cache; null: what 5-minute writes do",
            "cache_read": "dollars per million tokens read from the cache; null: what input does",
            "web_search": "dollars per 1,000 web searches; null: not known",
            "source": "where the row is from",
            "source_version": "of which version or date",
        },
    ),
    "price_aliases": (
        "name by which logs may call a model of the prices",
        {
            "name": "name as it may be logged",
            "price_model": "model of the prices that it stands for",
            "name_rank": "of two that fit, the lesser counts: the user's own, those of Claude models, others",
            "valid_from": "first UTC day on which it stands for it, null where there is no bound",
            "valid_to": "last UTC day, null where there is no bound",
        },
    ),
    "price_factors": (
        "factor on the prices of tokens: fast mode, inference in the US, batch tier (accounting rule 20)",
        {
            "kind": "fast | us | batch",
            "model": "model of the prices, * for every one",
            "valid_from": "first UTC day, null where there is no bound",
            "valid_to": "last UTC day, null where there is no bound",
            "factor": "what the prices of tokens are multiplied by",
            "source": "where the row is from",
        },
    ),
    "price_sources": ("source of the prices in use", {"source": "its name, with its version or date"}),
}
"""What a row is of the price tables, and their columns."""
