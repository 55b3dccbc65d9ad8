"""Fixtures for the saved queries: a tiny lake whose answers are worked out by hand."""

from tests.query.conftest import lake, lakes, surroundings

__all__ = ["lake", "lakes", "surroundings"]
