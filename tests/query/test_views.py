"""Views: the words of SQL by which it names what it reads."""

from __future__ import annotations

import pytest

from tokenlake.query.views import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("select a from requests -- not events", {"select", "a", "from", "requests"}),
        ("select 'it''s -- no comment' from chains", {"select", "from", "chains"}),
        ("-- it's one\nfrom costs -- isn't it", {"from", "costs"}),
        ('select "it\'s" from "costs" -- \'', {"select", "it", "s", "from", "costs"}),
        ("from/* it's\n events */costs", {"from", "costs"}),
    ],
)
def test_comments_and_texts_name_nothing(text: str, found: set[str]) -> None:
    assert words(text) == found
