"""Who is right on the disputed rows: a table of differences, and the same as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from benchmarks.answers import right_totals
from benchmarks.disputed import Dispute, Verdict


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a contender's count is from the answer; dollars are None where it knows no prices."""

    tokens: int
    dollars: Fraction | None


def verdict_table(disputes: Sequence[Dispute], verdicts: Sequence[Verdict]) -> str:
    """Make a markdown table: a row a dispute, a column a contender, and how many each has right.

    A cell that is not right shows what the contender counts beyond the answer, or misses of it. Scripts without
    prices are judged by their tokens.
    """
    names = list(dict.fromkeys(verdict.contender for verdict in verdicts))
    cells = {(verdict.dispute, verdict.contender): verdict for verdict in verdicts}
    lines = [f"| disputed row | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for dispute in disputes:
        row = [_cell(dispute, cells[dispute.name, name]) for name in names]
        lines.append(f"| {dispute.name} | {' | '.join(row)} |")
    right = [sum(not cells[dispute.name, name].wrong for dispute in disputes) for name in names]
    lines.append(f"| **right, of {len(disputes)}** | {' | '.join(f'**{count}**' for count in right)} |")
    return "\n".join(lines) + "\n"


def as_json(disputes: Sequence[Dispute], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Give every answer and every count, dollars as floats."""
    return {
        "disputes": [
            {
                "name": dispute.name,
                "answer": _plain({**right_totals(dispute.answer), "dollars": dispute.answer.dollars or 0}),
                "counts": [
                    {
                        "contender": verdict.contender,
                        "totals": _plain(verdict.totals),
                        "wrong": verdict.wrong,
                        "error": verdict.error,
                    }
                    for verdict in verdicts
                    if verdict.dispute == dispute.name
                ],
            }
            for dispute in disputes
        ]
    }


def _cell(dispute: Dispute, verdict: Verdict) -> str:
    if verdict.error:
        return "failed"
    if not verdict.wrong:
        return "right"
    off = _difference(dispute, verdict)
    parts = [f"{off.tokens:+,} tokens"] if off.tokens else []
    if off.dollars is not None and abs(off.dollars) >= Fraction(1, 10**6):
        parts.append(f"{'-' if off.dollars < 0 else '+'}${abs(float(off.dollars)):.4f}")
    return "<br>".join(parts) or "; ".join(verdict.wrong)


def _difference(dispute: Dispute, verdict: Verdict) -> Difference:
    right = right_totals(dispute.answer)
    tokens = sum(int(value) - right[kind] for kind, value in verdict.totals.items() if kind.endswith("_tokens"))
    counted = verdict.totals.get("dollars")
    dollars = None if counted is None else Fraction(counted) - (dispute.answer.dollars or 0)
    return Difference(tokens, dollars)


def _plain(totals: Any) -> dict[str, int | float]:
    return {kind: float(value) if kind == "dollars" else int(value) for kind, value in totals.items()}
