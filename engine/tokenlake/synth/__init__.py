"""Made-up transcript trees of any size, written fast, with the exact totals a right count must find."""
