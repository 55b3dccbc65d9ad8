"""The write wing: discover, read, parse, salvage, dedup, merge, commit; pipeline.py knows the order."""
