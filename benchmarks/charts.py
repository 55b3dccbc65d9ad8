"""How cost grows: charts of the kept results, cold, warm and appended, against the size of what is counted."""

import json
from pathlib import Path
from typing import Any

_COLD = {
    "tokenlake ingest": "tokenlake, every table written",
    "ccusage daily": "ccusage daily",
    "aiburn daily": "aiburn daily",
    "naive script": "naive script",
}
_WARM = {
    "tokenlake cost daily": "tokenlake cost daily",
    "tokenlake ingest, nothing new": "tokenlake ingest, nothing new",
    "tokenlake ingest, one request appended": "tokenlake ingest, one request appended",
    "ccusage daily": "ccusage daily",
}


def draw(results: Path) -> list[Path]:
    """Draw `cold.svg`, `memory.svg` and `warm.svg` from the results in a folder, and give their paths.

    Raises ImportError where altair or vl-convert is not installed (pip install '.[bench]').
    """
    import altair

    cold = _rows(results, "cold", _COLD)
    charts = {
        "cold": _chart(altair, cold, "seconds", "seconds, whole process", "Cold: the whole tree"),
        "memory": _chart(altair, cold, "peak_mb", "peak memory, MB", "Cold: peak memory"),
        "warm": _chart(
            altair, _rows(results, "warm", _WARM), "seconds", "seconds, whole process", "Warm: the tree is in the lake"
        ),
    }
    written = []
    for name, chart in charts.items():
        path = results / f"{name}.svg"
        chart.save(str(path))
        written.append(path)
    return written


def _rows(results: Path, scenario: str, names: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(results.glob(f"{scenario}-*MB.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        rows += [
            {
                "bytes": content["tree"]["bytes"] / 1e9,
                "program": names[contender["name"]],
                "seconds": contender["median"]["wall_s"],
                "peak_mb": contender["median"]["peak_rss_bytes"] / 1e6,
            }
            for contender in content["contenders"]
            if contender["name"] in names and contender["median"]  # none where it failed
        ]
    return rows


def _chart(altair: Any, rows: list[dict[str, Any]], field: str, title: str, heading: str) -> Any:
    scale = altair.Scale(type="log")
    return (
        altair.Chart(altair.Data(values=rows), title=heading, width=420, height=260)
        .mark_line(point=True)
        .encode(
            x=altair.X("bytes:Q", title="transcripts, GB", scale=scale),
            y=altair.Y(f"{field}:Q", title=title, scale=scale),
            color=altair.Color("program:N", title=None, legend=altair.Legend(labelLimit=320)),
        )
    )
