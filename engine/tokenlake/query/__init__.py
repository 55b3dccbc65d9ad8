"""The read wing: saved queries, filters, views and results over one snapshot of a lake."""
