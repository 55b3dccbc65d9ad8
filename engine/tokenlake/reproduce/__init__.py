"""Published figures, worked out again: from corpora with their exact totals, or from the user's own lake."""
