"""Every published figure, through the ordinary ingest and the ordinary saved queries, against hand-worked answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.query.result import Meta
from tokenlake.reproduce import run
from tokenlake.reproduce.figures import Figure, Verdict

EXACT, ROUNDED, INCONSISTENT = Verdict.EXACT, Verdict.ROUNDED, Verdict.INCONSISTENT

# id, figure: what its public inputs give, to more digits than were printed, and the verdict. Worked out from the
# inputs with a calculator, not from this program.
EXPECTED = {
    # 5,092,500,074 / 3,887,759
    ("R1", "cache reads per input and output token"): ("1,309.88 : 1", ROUNDED),
    ("R1", "cache reads"): ("5,092,500,074", EXACT),
    ("R1", "input and output"): ("3,887,759", EXACT),
    ("R1", "cache writes"): ("176,498,498", EXACT),
    # 5,268,998,572 and 5,092,500,074 of 5,272,886,331; 5,092,500,074 of 5,096,387,833
    ("R2", "cache reads and writes, share of all tokens"): ("99.9263%", ROUNDED),
    ("R2", "cache reads, share of all tokens"): ("96.5790%", INCONSISTENT),
    ("R2", "cache reads, share of reads, input and output"): ("99.9237%", INCONSISTENT),
    ("R3", "cache reads, week 1 of 5"): ("276,151,498", EXACT),
    ("R3", "cache reads, week 2 of 5"): ("967,624,068", EXACT),
    ("R3", "cache reads, week 3 of 5"): ("1,192,316,036", EXACT),
    ("R3", "cache reads, week 4 of 5"): ("1,474,919,498", EXACT),
    ("R3", "cache reads, week 5 of 5"): ("1,181,488,974", EXACT),
    ("R3", "cache reads, five weeks"): ("5,092,500,074", EXACT),
    # 967,624,068 / 276,151,498, and of seven and three days
    ("R3", "cache reads, week 2 to week 1"): ("3.504x", ROUNDED),
    ("R3", "cache reads a day, week 2 to week 1"): ("1.5017x", INCONSISTENT),
    ("R4", "cache reads, last day but one"): ("78,312,699", EXACT),
    ("R4", "input and output, last day but one"): ("70,533", EXACT),
    ("R4", "cache reads, last day"): ("218,548,562", EXACT),
    ("R4", "input and output, last day"): ("118,663", EXACT),
    ("R4", "cache reads, last day to the one before"): ("2.7907x", ROUNDED),
    ("R4", "input and output, last day to the one before"): ("1.6824x", ROUNDED),
    ("R4", "cache reads per input and output token, last day but one"): ("1,110.299 : 1", ROUNDED),
    ("R4", "cache reads per input and output token, last day"): ("1,841.758 : 1", ROUNDED),
    ("R5", "requests"): ("441", EXACT),
    ("R5", "requests, as turns"): ("441", INCONSISTENT),
    # 90,360,262 x 0.50, 1,511,817 x 6.25, 5,017 x 5 + 51,360 x 25 dollars a million
    ("R5", "cost of cache reads"): ("$45.1801", ROUNDED),
    ("R5", "cost of cache reads, share"): ("80.768%", ROUNDED),
    ("R5", "cost of cache writes"): ("$9.4489", ROUNDED),
    ("R5", "cost of cache writes, share"): ("16.892%", ROUNDED),
    ("R5", "cost of input and output"): ("$1.3091", ROUNDED),
    ("R5", "cost of input and output, share"): ("2.340%", ROUNDED),
    ("R5", "cost"): ("$55.9381", ROUNDED),
    ("R5", "cost of the cache, share"): ("97.660%", ROUNDED),
    ("R5", "cache, share of all tokens"): ("99.9387%", INCONSISTENT),
    ("R5", "input and output, share of all tokens"): ("0.0613%", INCONSISTENT),
    ("R5", "cost per cost of input and output"): ("42.73 : 1", ROUNDED),
    ("R5", "cost of the cache per cost of input and output"): ("41.7307 : 1", INCONSISTENT),
    ("R6", "start of the block"): ("9:00", EXACT),
    ("R6", "duration of the block"): ("4h 11m", EXACT),
    ("R6", "cost of input and output of the block"): ("$10.69", EXACT),
    ("R6", "cost of the block"): ("$252.87", EXACT),
    ("R6", "cost per cost of input and output of the block"): ("23.6548x", ROUNDED),
    ("R7", "tokens of the prefix, written"): ("15,000", EXACT),
    ("R7", "tokens of the prefix, read"): ("1,485,000", EXACT),
    ("R7", "tokens of the prefix, all"): ("1,500,000", EXACT),
    ("R7", "cost of the prefix, all of it read"): ("$0.75", EXACT),
    # Percent over minutes / 60: 74 / 476, 100 / 622, 86 / 93, 94 / 1002, 100 / 100, 100 / 107, 36 / 54
    ("R8", "percent an hour, window 1 of 7"): ("9.328", ROUNDED),
    ("R8", "percent an hour, window 2 of 7"): ("9.646", ROUNDED),
    ("R8", "percent an hour, window 3 of 7"): ("55.484", INCONSISTENT),
    ("R8", "percent an hour, window 4 of 7"): ("5.629", ROUNDED),
    ("R8", "percent an hour, window 5 of 7"): ("60.0", INCONSISTENT),
    ("R8", "percent an hour, window 6 of 7"): ("56.075", ROUNDED),
    ("R8", "percent an hour, window 7 of 7"): ("40.0", EXACT),
    ("R8", "fastest window to the slowest"): ("10.660x", ROUNDED),
    ("R9", "requests, older version"): ("644", EXACT),
    ("R9", "cache reads, older version"): ("85,100,082", EXACT),
    ("R9", "cache reads a request, older version"): ("132,142.98", ROUNDED),
    ("R9", "requests, newer version"): ("392", EXACT),
    ("R9", "cache reads, newer version"): ("80,173,520", EXACT),
    ("R9", "cache reads a request, newer version"): ("204,524.29", ROUNDED),
    ("R17", "requests"): ("29,791", EXACT),
    ("R17", "context tokens"): ("8,690,279,614", EXACT),
    ("R17", "hit ratio"): ("98.721%", ROUNDED),
    ("R17", "context a request"): ("291,708.22", ROUNDED),
    ("R17", "context per output token"): ("262.23 : 1", ROUNDED),
    # 2 + 4 x 0.1; 4 x 1.25 + 0.1
    ("R19", "cost in prefixes of input, 1-hour cache"): ("2.4", EXACT),
    ("R19", "cost in prefixes of input, 5-minute cache"): ("5.1", EXACT),
    ("R19", "cost with 5 minutes to cost with 1 hour"): ("2.125x", EXACT),
    ("R21", "cache reads at the largest rebuild"): ("11,428", EXACT),
    ("R21", "cache writes at the largest rebuild"): ("305,735", EXACT),
    ("R21", "time of the largest rebuild"): ("22:34:26", EXACT),
    ("R21", "later rebuilds with the same cache reads"): ("9", EXACT),
    ("R21", "most common cache reads of rebuilds (F2)"): ("11,428", EXACT),
    ("R22", "rows with usage"): ("29,696", EXACT),
    ("R22", "duplicates"): ("14,532", EXACT),
    ("R22", "requests"): ("15,164", EXACT),
    ("R22", "duplicates, share of rows"): ("48.936%", ROUNDED),
    ("29000", "cache reads per input and output token"): (None, Verdict.NOT_COMPUTED),
}

# Of R12: 5m writes, 1h writes, and the share of the latter.
LIFETIMES = [
    ("0", "7,974,898", "100%", EXACT),
    ("2,886,030", "10,753,834", "78.84%", ROUNDED),
    ("461,509", "1,281,686", "73.53%", ROUNDED),
    ("9,810,771", "10,465,251", "51.61%", ROUNDED),
    ("34,340,003", "24,301,557", "41.44%", ROUNDED),
    ("2,650,760", "5,533,277", "67.61%", ROUNDED),
    ("8,451,674", "0", "0%", EXACT),
]
for number, (five_minutes, one_hour, share, verdict) in enumerate(LIFETIMES, 1):
    of = f"of subagents, day {number} of 7"
    EXPECTED["R12", f"5-minute writes {of}"] = (five_minutes, EXACT)
    EXPECTED["R12", f"1-hour writes {of}"] = (one_hour, EXACT)
    EXPECTED["R12", f"1-hour share of subagents' writes, day {number} of 7"] = (share, verdict)


@pytest.fixture(scope="module")
def everything(price_surroundings: dict[str, str]) -> tuple[list[Figure], list[Meta]]:
    """All figures, reproduced once, with prices and queries of nobody's own."""
    metas: list[Meta] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**price_surroundings, "TOKENLAKE_QUERIES": "/nowhere"}.items():
            patch.setenv(name, value)
        return list(run.reproduce(asked=metas.append)), metas


def test_every_figure_is_what_its_public_inputs_give(everything: tuple[list[Figure], list[Meta]]) -> None:
    figures, _ = everything
    assert {(row.id, row.figure): (row.computed, row.verdict) for row in figures} == EXPECTED
    assert [row for row in figures if row.verdict is Verdict.DIFFERENT] == []


def test_the_answers_are_those_of_saved_queries(everything: tuple[list[Figure], list[Meta]]) -> None:
    figures, metas = everything
    assert {meta.name for meta in metas} == {
        *("cache/overhead", "cost/weekly", "cost/daily", "cost/session", "windows/blocks", "cache/static-prefix"),
        *("windows/burn-variance", "cost/version", "cache/ttl-mix", "whatif/replay", "cache/rebuilds"),
    }
    assert all("/" in row.formula for row in figures if row.computed is not None)


def test_the_causes_of_rebuilds_are_told(everything: tuple[list[Figure], list[Meta]]) -> None:
    """Ten minutes after the request before it, well within an hour: it was not expiry that broke the cache.

    13 breaks: the resume, three partial ones at 216,204 reads, nine at the head.
    """
    notes = {row.figure: row.note for row in everything[0] if row.id == "R21"}
    assert notes["cache writes at the largest rebuild"].startswith("cause prefix-change, 2026-03-27, 607 s after")
    assert notes["later rebuilds with the same cache reads"] == "all causes: prefix-change 13"
    assert notes["most common cache reads of rebuilds (F2)"] == "10 rebuilds"


# --- what is asked for ----------------------------------------------------------------------------------------------


@pytest.fixture
def altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of specs that this test may change: the small what-if alone."""
    text = (run.specs_folder() / "recca0120-what-if.toml").read_text(encoding="utf-8")
    monkeypatch.setattr(run, "specs_folder", lambda: tmp_path)
    path = tmp_path / "recca0120-what-if.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_figure_that_the_lake_does_not_give_is_not_reproduced(altered: Path) -> None:
    """One more pause within five minutes: 3 x 1.25 + 2 x 0.1 = 3.95 prefixes, not 5.1."""
    altered.write_text(altered.read_text(encoding="utf-8").replace("10:16:00", "10:09:00"), encoding="utf-8")
    rows = {row.figure: row for row in run.reproduce(["R19"])}
    assert rows["cost in prefixes of input, 1-hour cache"].verdict is EXACT
    changed = rows["cost in prefixes of input, 5-minute cache"]
    assert (changed.computed, changed.verdict) == ("3.950", Verdict.DIFFERENT)


def test_figures_are_chosen_by_id_and_by_source() -> None:
    def chosen(*ids: str) -> list[tuple[str, list[str]]]:
        return [(spec.id, wanted) for spec, wanted in run.chosen(ids)]

    assert chosen("r1", "R22") == [("claude-code-24147", ["R1"]), ("claude-code-81234", ["R22"])]
    assert chosen("cache-trap") == [("cache-trap", ["R5", "R6"])]
    assert [name for _, wanted in run.chosen(()) for name in wanted] == list(run.QUESTIONS)
    with pytest.raises(UsageError, match="'R99' is no figure; there are R1, R2"):
        chosen("R99")


def test_the_own_lake_answers_the_same_questions(samples: Path, tmp_path: Path) -> None:
    """458,270 reads, 10,488 in and out, 1,053,630 writes; 107 requests: the sums of data-samples/README.md."""
    lake = Lake(tmp_path / "lake")
    lake.refresh([samples / "logs"], host="h")
    rows = {(row.id, row.figure): row for row in run.own(lake, tz="UTC")}
    assert rows.keys() == EXPECTED.keys()
    own = {key: row.own for key, row in rows.items()}
    assert own["R1", "cache reads"] == "458,270"
    assert own["R1", "input and output"] == "10,488"
    assert own["R1", "cache writes"] == "1,053,630"
    assert own["R1", "cache reads per input and output token"] == "43.69 : 1"
    assert own["R17", "requests"] == own["R22", "requests"] == "107"
    # No status line left samples there.
    missing = rows["R8", "fastest window to the slowest"]
    assert (missing.published, missing.own, missing.note) == ("10.7x", None, "the lake has nothing to say to this")


def test_an_empty_lake_answers_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs" / "projects").mkdir(parents=True)
    lake = Lake(tmp_path / "lake")
    lake.refresh([tmp_path / "logs"], host="h", keep_text=False)  # nothing to read, but something to remember
    own = [row.own for row in run.own(lake, tz="UTC")]
    assert len(own) == len(EXPECTED)
    assert set(own) == {None}
