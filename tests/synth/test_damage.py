"""Damage to made-up trees: every kind occurs, is told by its bytes, and never costs a request."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from synth.recount import transcripts
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.tree import write_tree
from tokenlake.synth.truth import Truth

OPTIONS = SynthOptions(total_bytes=6_000_000, seed=9, damage_share=0.2)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, dict[Path, bytes]]:
    folder = tmp_path_factory.mktemp("damaged")
    truth = write_tree(OPTIONS, folder)
    return truth, {path: path.read_bytes() for path in transcripts(folder / "projects")}


def parses(line: bytes) -> bool:
    try:
        json.loads(line.decode("utf-8"))
    except ValueError:
        return False
    return True


def test_every_kind_occurs(damaged: tuple[Truth, dict[Path, bytes]]) -> None:
    assert set(damaged[0].damage) == {
        *("joined_records", "cut_splices", "cut_lines", "cut_tails", "nul_runs", "nuls_inside", "nul_tails"),
        *("escaped_nuls", "lone_surrogates", "invalid_utf8", "byte_order_marks"),
    }


def test_what_is_lost_is_accounted_for(damaged: tuple[Truth, dict[Path, bytes]]) -> None:
    truth = damaged[0]
    kinds = truth.damage
    assert truth.rejects == kinds["cut_splices"] + kinds["cut_lines"]
    assert truth.pending_lines == kinds["cut_tails"]
    assert truth.lost_records == truth.rejects + truth.pending_lines
    assert truth.lines == truth.records + truth.lost_records - kinds["joined_records"] - kinds["cut_splices"]


def test_the_bytes_show_the_damage(damaged: tuple[Truth, dict[Path, bytes]]) -> None:
    truth, files = damaged
    kinds = truth.damage
    lines = [line for data in files.values() for line in data.split(b"\n") if line]
    assert sum(data.startswith(b"\xef\xbb\xbf") for data in files.values()) == kinds["byte_order_marks"]
    assert sum(data.endswith(b"\0") for data in files.values()) == kinds["nul_tails"]
    assert sum(line.count(b"\xc3\xff") for line in lines) == kinds["invalid_utf8"]
    assert sum(line.count(rb"\ud83c") for line in lines) == kinds["lone_surrogates"]
    assert sum(line.count(rb"\u0000") for line in lines) == kinds["escaped_nuls"]
    unended = [data for data in files.values() if data[-1:] not in (b"\n", b"\0")]
    assert len(unended) == kinds["cut_tails"]
    assert not any(parses(data.rsplit(b"\n", 1)[-1]) for data in unended)


def test_totals_do_not_depend_on_damage(tmp_path: Path) -> None:
    """Every request of a damaged tree is found in its own lines; the same tree without damage has other chances."""
    for share in (0.02, 0.9):
        truth = write_tree(replace(OPTIONS, total_bytes=1_000_000, damage_share=share), tmp_path / str(share))
        keys = set()
        for path in transcripts(tmp_path / str(share) / "projects"):
            keys.update(part.split(b'"', 1)[0] for part in path.read_bytes().split(b'"id":"msg_01')[1:])
        assert len(keys) == truth.total.requests


def test_the_share_is_about_that_of_the_lines(damaged: tuple[Truth, dict[Path, bytes]]) -> None:
    truth = damaged[0]
    whole = {"cut_tails", "nul_tails", "byte_order_marks"}
    share = sum(count for kind, count in truth.damage.items() if kind not in whole) / truth.lines
    # Some places that are chosen do not admit the kind that is drawn.
    assert 0.1 < share < 0.2
