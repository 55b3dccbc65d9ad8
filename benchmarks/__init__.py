"""Benchmarks: made-up trees of a given size, one fresh process a run, every contender's totals checked."""
