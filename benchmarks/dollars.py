"""What the requests of a made-up tree or lake cost, by prices typed in here: nothing of the query layer is used."""

from collections.abc import Iterable
from fractions import Fraction

from tokenlake.synth.truth import Priced

# Dollars per million tokens: input, output, 5-minute write, 1-hour write, read.
_PRICES = {
    "claude-opus-4-1-20250805": ("15", "75", "18.75", "30", "1.5"),
    "claude-sonnet-4-5-20250929": ("3", "15", "3.75", "6", "0.3"),
    "claude-haiku-4-5-20251001": ("1", "5", "1.25", "2", "0.1"),
    "claude-opus-4-5-20251101": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-6": ("5", "25", "6.25", "10", "0.5"),
    "claude-sonnet-4-6": ("3", "15", "3.75", "6", "0.3"),
    "claude-opus-4-7": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-8": ("5", "25", "6.25", "10", "0.5"),
    "claude-sonnet-5": ("2", "10", "2.5", "4", "0.2"),
    "claude-opus-5": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-5-5": ("4", "20", "5", "8", "0.2"),
    "claude-sonnet-5-5": ("2", "10", "2.5", "4", "0.1"),
    "claude-haiku-5-5": ("0.1", "0.5", "0.125", "0.2", "0.01"),
}
# Above 200,000 tokens of context, with the last day of that; above 100,000 for the small model.
_LONG = {
    "claude-sonnet-4-5-20250929": ("6", "22.5", "7.5", "12", "0.6"),
    "claude-opus-4-6": ("10", "37.5", "12.5", "20", "1"),
    "claude-sonnet-4-6": ("6", "22.5", "7.5", "12", "0.6"),
    "claude-haiku-5-5": ("0.5", "2.5", "0.625", "1", "0.05"),
}
_LONG_UNTIL = {"claude-opus-4-6": "2026-03-12", "claude-sonnet-4-6": "2026-03-12"}
_FAST = {"claude-opus-4-6": 6, "claude-opus-4-7": 6, "claude-opus-4-8": 2, "claude-opus-5": 2, "claude-opus-5-5": 2}
_WEB_SEARCH = Fraction(10, 1000)


def dollars(priced: Iterable[Priced], cost_mode: str = "calculate") -> Fraction:
    """Give what all requests cost in a cost mode (accounting rule 24), exactly; without a price or a log, nothing."""
    return sum((_cost_in(cost_mode, cell) for cell in priced), Fraction(0))


def _cost_in(cost_mode: str, cell: Priced) -> Fraction:
    if cost_mode != "calculate" and cell.is_logged:
        return Fraction(cell.cost_logged_nanodollars, 10**9)
    return Fraction(0) if cost_mode == "display" else _cost(cell)


def _cost(cell: Priced) -> Fraction:
    prices = _prices(cell)
    # Nothing is known of the fast mode of other models.
    if prices is None or (cell.is_fast and cell.model not in _FAST):
        return Fraction(0)
    counts = cell.counts
    tokens = (
        *(counts.input_tokens, counts.output_tokens),
        *(counts.cache_write_5m_tokens, counts.cache_write_1h_tokens, counts.cache_read_tokens),
    )
    factor = Fraction(_FAST[cell.model] if cell.is_fast else 1)
    factor *= Fraction(11, 10) if cell.is_us else 1
    factor /= 2 if cell.is_batch else 1
    spent = sum((count * Fraction(price) for count, price in zip(tokens, prices, strict=True)), Fraction(0)) / 10**6
    return spent * factor + cell.web_searches * _WEB_SEARCH


def _prices(cell: Priced) -> tuple[str, ...] | None:
    long_band = 1 if cell.model == "claude-haiku-5-5" else 2
    if cell.band >= long_band and cell.model in _LONG and cell.day <= _LONG_UNTIL.get(cell.model, "9999"):
        return _LONG[cell.model]
    if cell.model == "claude-sonnet-5-5" and cell.day <= "2026-10-06":
        return ("2", "10", "2.5", "4", "0.2")
    return _PRICES.get(cell.model)
