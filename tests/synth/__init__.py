"""Tests of the made-up transcript trees."""
