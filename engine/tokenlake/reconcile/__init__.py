"""Puts the totals of ccusage beside the lake's, and explains every difference by rule and by row."""

from tokenlake.reconcile.report import Reconciliation, reconcile

__all__ = ["Reconciliation", "reconcile"]
