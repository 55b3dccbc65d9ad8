"""Prices: the package's, the corrections and the user's own, laid over each other and kept for the next report."""
