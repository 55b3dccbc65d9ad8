"""What happens around the requests of a stretch: prompts, tool calls with their results, texts, events."""

import json
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Final

import numpy as np
import pyarrow as pa

from tokenlake.synth.draws import quantile_table
from tokenlake.synth.lakes_chains import Chains, Sessions, chance, pick
from tokenlake.synth.lakes_days import Flags, Generator, Ints
from tokenlake.synth.lakes_parquet import Coded, Column, in_order, random_ids, random_uuids, words
from tokenlake.synth.lakes_requests import Requests
from tokenlake.synth.lakes_rows import PROMPT_LEAD_MS, Names, text_ids
from tokenlake.synth.releases import RELEASES

_WORDS: Final = (
    *("the", "a", "this", "of", "to", "in", "and", "with", "for", "on", "parser", "reader", "table", "column"),
    *("index", "cache", "request", "token", "loop", "test", "case", "branch", "module", "function", "type"),
    *("value", "error", "message", "file", "path", "folder", "name", "report", "total", "zone", "day", "hour"),
    *("month", "sum", "count", "row", "adds", "reads", "writes", "moves", "keeps", "drops", "checks"),
    *("returns", "fails", "passes", "holds", "needs", "uses", "builds", "opens", "closes"),
)
_CLAIMS: Final = (
    "All tests pass now.",
    "I've verified that the output is correct.",
    "I checked the file and it is fine.",
    "The build succeeds and every test is green.",
)
_ASKS: Final = (
    *("No, that's not what I asked for.", "That's wrong, undo it.", "Stop. Try again.", "Still broken.", "continue"),
    *("It still fails with the same error.", "Please fix this.", "go on", "yes", "Why did you delete the test?"),
)
_INTERRUPTS: Final = ("[Request interrupted by user]", "[Request interrupted by user for tool use]")
_KINDS: Final = ("typed", "slash", "bash", "queued", "task-notification", "interrupt")
_TOOLS: Final = ("Bash", "Read", "Edit", "Grep", "Write", "Glob", "TodoWrite", "WebFetch", "WebSearch", "Task", "Agent")
_COMMANDS: Final = (
    *(
        "pytest -q",
        "npm test",
        "git status",
        "git diff",
        "ls -la",
        "cargo build",
        "make lint",
        "cat .env",
        "python a.py",
    ),
    *("rg --files", "git commit -m wip", "sed -n 1,80p main.py", "head -50 log.txt", "go test ./...", "docker ps"),
)
_SECRETS: Final = (".env", ".env.production", "config/credentials.json", "deploy/id_rsa", ".aws/credentials")
_LIMITS: Final = (
    "Claude AI usage limit reached|1767553200",
    "Limit reached · resets 7pm (Europe/Berlin)",
    "You've hit your session limit · resets 7:20pm (Europe/Brussels)",
    "Session limit reached ∙ resets 8pm",
)
_RESULT_BYTES: Final = np.array(quantile_table((0, 10), (0.5, 900), (0.9, 9000), (0.99, 40_000), (1, 200_000)))
_TOOL_MS: Final = np.array(quantile_table((0, 5), (0.5, 120), (0.9, 6000), (0.99, 60_000), (1, 120_000)))


@lru_cache(maxsize=1)
def text_pool() -> tuple[pa.Array, Ints]:
    """Give the texts that made-up assistants say, and their lengths in characters."""
    return _pool("texts", _CLAIMS, 0.03, quantile_table((0, 30), (0.5, 130), (0.9, 900), (0.99, 3000), (1, 5000)))


@lru_cache(maxsize=1)
def _prompt_pool() -> tuple[pa.Array, Ints]:
    return _pool("prompts", _ASKS, 0.3, quantile_table((0, 4), (0.5, 90), (0.9, 600), (1, 3000)))


def _pool(name: str, known: tuple[str, ...], known_share: float, lengths: tuple[int, ...]) -> tuple[pa.Array, Ints]:
    """Make 2,048 texts; a known one begins `known_share` of them."""
    random = Random(f"lakes:{name}").random
    texts = []
    for _ in range(2048):
        length = lengths[int(random() * 1024)]
        parts = [known[int(random() * len(known))]] if random() < known_share else []
        size = sum(map(len, parts))
        while size < length and not (name == "prompts" and parts and parts[0] in known):
            parts.append(_WORDS[int(random() ** 2 * len(_WORDS))])
            size += len(parts[-1]) + 1
        texts.append(" ".join(parts))
    return words(texts), np.array([len(text) for text in texts])


def prompt_columns(
    rng: Generator, sessions: Sessions, chains: Chains, requests: Requests, names: Names
) -> dict[str, Column]:
    """Give the table `prompts`: one before every turn of a main thread, and some interruptions."""
    asked = np.flatnonzero(requests.starts_turn)
    interrupted = asked[chance(rng, len(asked), 0.04) & (requests.place[asked] > 0)]
    request = np.concatenate([asked, interrupted])
    kind = np.searchsorted([0.9, 0.93, 0.94, 0.97], rng.random(len(asked)), side="right")
    kind = np.concatenate([kind, np.full(len(interrupted), _KINDS.index("interrupt"))])
    # Between the request before and its own.
    lead_ms = np.where(requests.place[request] > 0, np.minimum(requests.before_ms[request] // 4, 2500), PROMPT_LEAD_MS)
    ms = requests.ms[request] - np.where(kind == 5, lead_ms * 2, lead_ms)
    order = np.argsort(ms, kind="stable")
    request, kind, ms = request[order], kind[order], ms[order]
    pool, lengths = _prompt_pool()
    texts = pa.concat_arrays([pool, words(list(_INTERRUPTS))])
    chars = np.concatenate([lengths, [len(text) for text in _INTERRUPTS]])
    text = np.where(kind == 5, len(pool) + request % 2, rng.integers(0, len(pool), len(kind)))
    session = chains.session[requests.chain[request]]
    current = np.array([r.is_current_shape for r in RELEASES])[sessions.release[session]]
    ids = in_order(random_uuids(rng, len(request)), ms)
    return {
        "id": ids,
        "uuid": ids,
        "session_id": Coded(session, names.session_ids),
        "prompt_id": Coded(np.where(current, requests.turn[request], -1), names.prompt_ids),
        "ts": ms * 1000,
        "kind": Coded(kind, words(list(_KINDS))),
        "chars": chars[text],
        "text": texts.take(pa.array(text)),
        "project": Coded(sessions.project[session], names.projects),
        "host": Coded(sessions.host[session], names.hosts),
        "file_id": Coded(session, names.file_ids),
        "offset": np.maximum(0, requests.offset[request] - 900 - (kind == 5)),
    }


def text_columns(
    rng: Generator, sessions: Sessions, chains: Chains, requests: Requests, names: Names
) -> dict[str, Column]:
    """Give the table `texts`: the texts that the requests have."""
    said = np.flatnonzero(requests.text >= 0)
    pool, lengths = text_pool()
    text = requests.text[said]
    offset = requests.offset[said]
    return {
        "id": in_order(text_ids(rng, len(said)), requests.ms[said]),
        "key": names.keys.take(pa.array(said)),
        **_thread(sessions, chains, requests, names, said),
        "ts": requests.ms[said] * 1000,
        "chars": lengths[text],
        "text": pool.take(pa.array(text)),
        "offset": offset,
        "line": offset // 600 + 1,
    }


def call_columns(
    rng: Generator, sessions: Sessions, chains: Chains, requests: Requests, names: Names
) -> dict[str, Column]:
    """Give the table `tool_calls`."""
    request = np.repeat(np.arange(len(requests.ms)), requests.tool_calls)
    number = np.arange(len(request)) - (np.cumsum(requests.tool_calls) - requests.tool_calls)[request]
    ms = requests.ms[request] + number * 40
    order = np.argsort(ms, kind="stable")
    request, number, ms = request[order], number[order], ms[order]
    count = len(request)
    tool = np.searchsorted(
        [0.36, 0.62, 0.78, 0.86, 0.91, 0.94, 0.97, 0.985], rng.random(count, np.float32), side="right"
    )
    release = sessions.release[chains.session[requests.chain[request]]]
    starts_agent = (requests.spawned[request] >= 0) & (number == 0)
    tool = np.where(starts_agent, np.where([r.since(2, 1, 63) for r in RELEASES], 10, 9)[release], tool)
    # The fuller the context, the more goes wrong.
    is_error = rng.random(count) < 0.03 + 2.5e-7 * requests.context_tokens[request]
    denied = chance(rng, count, 0.004)
    is_open = chance(rng, count, 0.002)
    result_ms = ms + pick(rng, _TOOL_MS, count) + 5
    result_bytes = pick(rng, _RESULT_BYTES, count)
    return {
        "tool_use_id": in_order(random_ids(rng, count, b"toolu_01", 22), ms),
        "key": names.keys.take(pa.array(request)),
        **_thread(sessions, chains, requests, names, request),
        "ts": ms * 1000,
        "result_ts": pa.array(result_ms * 1000, mask=is_open).view(pa.timestamp("us", "UTC")),
        "name": Coded(tool, words(list(_TOOLS))),
        "target": _targets(rng, tool),
        "input_bytes": 40 + pick(rng, _RESULT_BYTES, count) // 8,
        "result_bytes": pa.array(result_bytes, mask=is_open),
        "is_error": pa.array(is_error | denied, mask=is_open),
        "denied": pa.array(denied, mask=is_open),
        "offset": requests.offset[request] + 600 + number,
    }


def event_columns(
    rng: Generator, sessions: Sessions, chains: Chains, requests: Requests, names: Names
) -> dict[str, Column]:
    """Give the table `events`: compactions, failed and retried calls, limits, the duration of turns."""
    release = sessions.release[chains.session[requests.chain]]
    kinds = list(_events(rng, chains, requests, release))
    request = np.concatenate([rows for rows, *_ in kinds])
    ms = np.concatenate([requests.ms[rows] + shift for rows, shift, *_ in kinds])
    order = np.argsort(ms, kind="stable")
    kind = np.concatenate([np.full(len(rows), n) for n, (rows, *_) in enumerate(kinds)])[order]
    details = pa.array([detail for *_, texts in kinds for detail in texts], pa.string()).take(pa.array(order))
    request, ms = request[order], ms[order]
    return {
        "id": in_order(random_uuids(rng, len(request)), ms),
        "type": Coded(np.array([0, 0, 0, 1, 0])[kind], words(["system", "assistant"])),
        "subtype": Coded(
            kind, words(["compact_boundary", "microcompact_boundary", "api_error", "limit", "turn_duration"])
        ),
        **_thread(sessions, chains, requests, names, request),
        "ts": ms * 1000,
        "detail": details,
        "offset": np.maximum(0, requests.offset[request] - 300 - kind * 50),
    }


def _events(
    rng: Generator, chains: Chains, requests: Requests, release: Ints
) -> Iterator[tuple[Ints, Ints, list[str]]]:
    """Give for each kind of event the requests it goes with, how long before or after them, and its details."""
    lead_ms = -np.minimum(requests.before_ms // 2, 20_000)
    compacts = requests.is_compacted & _has(release, 2, 0, 60)
    is_micro = (release == _code(2, 1, 14)) & chance(rng, len(release), 0.3)
    tokens = (chains.window_tokens[requests.chain] - requests.place % 97).tolist()
    for rows, name, text in (
        (np.flatnonzero(compacts & ~is_micro), "compactMetadata", "Conversation compacted"),
        (np.flatnonzero(compacts & is_micro), "microcompactMetadata", "Context microcompacted"),
    ):
        metadata = [{"trigger": "auto", "preTokens": tokens[row]} for row in rows.tolist()]
        yield rows, lead_ms[rows], [_detail({"level": "info", name: held, "content": text}) for held in metadata]
    failed = np.flatnonzero(chance(rng, len(release), 0.004) & (requests.before_ms > 3000))
    attempts = rng.integers(1, 4, len(failed)).tolist()
    error = {"status": 529, "error": {"type": "overloaded_error"}}
    yield (
        failed,
        -np.minimum(requests.before_ms[failed] // 3, 9000),
        [
            _detail(
                {
                    "level": "error",
                    "retryInMs": f"{512.5 * n}",
                    "retryAttempt": f"{n}",
                    "maxRetries": "10",
                    "error": error,
                }
            )
            for n in attempts
        ],
    )
    idle = requests.starts_turn & (requests.before_ms > 1_800_000)
    limited = np.flatnonzero(idle & chance(rng, len(release), 0.05))
    said = np.minimum(release[limited] // 4, len(_LIMITS) - 1).tolist()
    yield (
        limited,
        -(requests.before_ms[limited] * 9 // 10),
        [_detail({"isApiErrorMessage": "true", "error": "rate_limit", "text": _LIMITS[n]}) for n in said],
    )
    ended = np.flatnonzero(requests.ends_turn & ~chains.is_agent[requests.chain] & _has(release, 2, 1, 1))
    took = (pick(rng, _TOOL_MS, len(ended)) + 4000).tolist()
    details = [_detail({"durationMs": f"{ms}", "messageCount": f"{2 + ms % 40}"}) for ms in took]
    yield ended, requests.last_ms[ended] - requests.ms[ended] + 60, details


def _detail(fields: dict[str, object]) -> str:
    """Give the details of an event as the lake keeps them: objects within are text."""
    flat = {
        name: value if isinstance(value, str) and name != "error" else json.dumps(value, separators=(",", ":"))
        for name, value in fields.items()
    }
    return json.dumps(flat, separators=(",", ":"), ensure_ascii=False)


def _targets(rng: Generator, tool: Ints) -> pa.Array:
    """Draw what the calls are about: a command, a path, a pattern, a page."""
    paths = [f"/home/dev/work_{n % 12}/src/part_{n % 37}/file_{n}.py" for n in range(1500)]
    secrets = [f"/home/dev/work_{n % 12}/{name}" for n in range(3) for name in _SECRETS]
    patterns = [f"def {word}_\\w+" for word in _WORDS]
    pages = [f"https://example.org/{word}" for word in _WORDS]
    pools = (list(_COMMANDS), [*paths, *secrets], patterns, pages)
    starts = np.cumsum([0, *map(len, pools)])
    pool = np.array([0, 1, 1, 2, 1, 2, 2, 3, 3, 2, 2])[tool]
    place = starts[pool] + (rng.random(len(tool)) * np.diff(starts)[pool]).astype(np.int64)
    return words([text for pool_texts in pools for text in pool_texts]).take(pa.array(place))


def _thread(sessions: Sessions, chains: Chains, requests: Requests, names: Names, rows: Ints) -> dict[str, Column]:
    """Give the columns that say whose the rows are."""
    chain = requests.chain[rows]
    session = chains.session[chain]
    is_agent = chains.is_agent[chain]
    return {
        "session_id": Coded(session, names.session_ids),
        "agent_id": Coded(np.where(is_agent, chain, -1), names.agent_ids),
        "is_sidechain": is_agent,
        "host": Coded(sessions.host[session], names.hosts),
        "file_id": Coded(np.where(chains.has_file[chain], chain, session), names.file_ids),
    }


def _code(major: int, minor: int, patch: int) -> int:
    return next(n for n, release in enumerate(RELEASES) if release.since(major, minor, patch))


def _has(release: Ints, major: int, minor: int, patch: int) -> Flags:
    return release >= _code(major, minor, patch)
