"""The spellings under which a logged model is looked for, as queries/views/price_names.sql has them."""

from __future__ import annotations

import re

_ROUTE = re.compile(r"^.*/")
_REGION = re.compile(r"^([a-z-]+[.])?anthropic[.]")
_VERSION = re.compile(r"-v[0-9]+(:.*)?$")
_DATE = re.compile(r"[-@](20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|latest|default)$")


def spellings(name: str) -> tuple[str, str, str]:
    """The name as it is, without what stands in brackets, and without route, region, version and date."""
    short = name.strip().partition("[")[0].lower()
    plain = _REGION.sub("", _ROUTE.sub("", short))
    return name, short, _DATE.sub("", _VERSION.sub("", plain)).replace(".", "-")
