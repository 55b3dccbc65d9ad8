"""The rows of a stretch in the lake's tables: requests, usage rows, sessions, and the ledger of transcripts."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from tokenlake.synth.lakes_chains import Chains, Sessions
from tokenlake.synth.lakes_days import Generator, Ints
from tokenlake.synth.lakes_models import MODELS
from tokenlake.synth.lakes_parquet import Coded, Column, in_order, random_ids, random_uuids, strings, words
from tokenlake.synth.lakes_requests import Requests
from tokenlake.synth.releases import RELEASES

ENTRYPOINTS: Final = ("cli", "sdk-cli", "claude-desktop")
_NAMES: Final = ("harbor", "lantern", "meadow", "quarry", "orchard", "ferry", "beacon", "mill", "canyon")
_AT_LEAST_BYTES: Final = 2400
PROMPT_LEAD_MS: Final = 1800
"""From the first prompt of a session to its first request."""


@dataclass(frozen=True, slots=True)
class Names:
    """The strings behind the codes of a stretch: of the whole lake, of its sessions, chains, turns and requests."""

    hosts: pa.Array
    projects: pa.Array
    session_ids: pa.Array
    agent_ids: pa.Array
    file_ids: pa.Array
    prompt_ids: pa.Array
    keys: pa.Array


def draw_names(
    rng: Generator, hosts: int, projects: int, sessions: Sessions, chains: Chains, requests: Requests
) -> Names:
    """Draw the ids of a stretch."""
    numbers = range(hosts * projects)
    return Names(
        hosts=words([f"machine-{n}" for n in range(hosts)]),
        projects=words([f"/home/dev/work_{n}/{_NAMES[n % len(_NAMES)]}.app" for n in numbers]),
        session_ids=random_uuids(rng, len(sessions.host)),
        agent_ids=random_ids(rng, len(chains.session), b"a", 16, hexadecimal=True),
        file_ids=pa.array(rng.integers(1, 1 << 62, len(chains.session))),
        prompt_ids=random_uuids(rng, int(requests.turn.max()) + 1),
        keys=in_order(random_ids(rng, len(requests.ms), b"msg_01", 22), requests.ms),
    )


def request_columns(sessions: Sessions, chains: Chains, requests: Requests, names: Names) -> dict[str, Column]:
    """Give the table `requests`."""
    columns = _shared_columns(sessions, chains, requests, names)
    _, _, step = _places(chains, requests)
    return {
        "key": names.keys,
        "ts": requests.ms * 1000,
        "last_ts": requests.last_ms * 1000,
        "project": columns.pop("cwd"),
        "agent": Coded(np.zeros(len(requests.ms), np.int64), words(["claude-code"])),
        **columns,
        "output_tokens": requests.output_tokens,
        "context_tokens": requests.context_tokens,
        "web_searches": requests.web_searches,
        "stop_reason": _stop_reason(requests),
        "output_is_partial": requests.is_partial,
        "n_rows": requests.rows,
        "n_sessions": np.ones(len(requests.ms), np.int64),
        "tool_calls": requests.tool_calls,
        "offset": requests.offset + (requests.rows - 1) * step,
    }


def usage_columns(
    rng: Generator, sessions: Sessions, chains: Chains, requests: Requests, names: Names, text_chars: Ints
) -> dict[str, Column]:
    """Give the table `usage_rows`: every request as often as it has blocks, its output growing where it did so."""
    request = np.repeat(np.arange(len(requests.ms)), requests.rows)
    row = np.arange(len(request)) - (np.cumsum(requests.rows) - requests.rows)[request]
    rows = requests.rows[request]
    is_last = row == rows - 1
    ms = requests.ms[request] + (requests.last_ms - requests.ms)[request] * row // np.maximum(1, rows - 1)
    _, file_place, step = _places(chains, requests)
    offset = requests.offset[request] + row * step[request]
    order = np.lexsort((offset, names.file_ids.to_numpy()[file_place][request], ms))
    request, row, is_last, ms, offset = request[order], row[order], is_last[order], ms[order], offset[order]
    release = sessions.release[chains.session[requests.chain]][request]
    grows = np.array([r.outputs == "growing" for r in RELEASES])[release] & ~is_last
    output = requests.output_tokens[request]
    stop = _stop_reason(requests)
    shows_stop = is_last | np.array([r.outputs == "final" for r in RELEASES])[release]
    has_split = np.array([r.has_write_split for r in RELEASES])[release]
    written = requests.cache_write_5m_tokens + requests.cache_write_1h_tokens
    columns = _shared_columns(sessions, chains, requests, names)
    columns = {name: _taken(column, request) for name, column in columns.items()}
    searches = requests.web_searches[request]
    return {
        "key": names.keys.take(pa.array(request)),
        "ts": ms * 1000,
        **columns,
        "message_id": names.keys.take(pa.array(request)),
        "request_id": random_ids(rng, len(requests.ms), b"req_011", 21).take(pa.array(request)),
        "uuid": random_uuids(rng, len(request)),
        "output_tokens": np.where(grows, np.minimum(output, 1 + row * 7), output),
        "cache_write_flat_tokens": written[request],
        "cache_split_present": has_split,
        "cache_write_unsplit_tokens": np.where(has_split, 0, written[request]),
        "web_searches": searches,
        "stop_reason": Coded(np.where(shows_stop, stop.codes[request], -1), stop.values),
        # The last row of a request has its text, so that no two of its rows have the same.
        "text_chars": np.where(is_last, text_chars[request], 0),
        "thinking_chars": np.where(row == 0, requests.thinking_chars[request], 0),
        "tool_calls": np.where(is_last, requests.tool_calls[request], 0),
        "offset": offset,
        "line": offset // 600 + 1,
    }


def session_columns(sessions: Sessions, chains: Chains, requests: Requests, names: Names) -> dict[str, Column]:
    """Give the table `sessions`."""
    count = len(sessions.host)
    session = chains.session[requests.chain]
    first, last = _span(session, requests, count)
    first -= PROMPT_LEAD_MS
    order = np.lexsort((np.asarray(names.session_ids.to_pylist()), first))
    agents = np.bincount(chains.session[chains.is_agent], minlength=count)
    files = np.bincount(chains.session[chains.has_file], minlength=count)
    turns = np.bincount(session[requests.starts_turn], minlength=count)
    owned = np.bincount(session, minlength=count)
    return {
        "session_id": names.session_ids.take(pa.array(order)),
        "first_ts": first[order] * 1000,
        "last_ts": last[order] * 1000,
        "project": Coded(sessions.project[order], names.projects),
        "title": Coded(sessions.project[order], words([f"Work on {name}" for name in names.projects.to_pylist()])),
        "host": Coded(sessions.host[order], names.hosts),
        "files": files[order],
        "agents": agents[order],
        "requests": owned[order],
        "prompts": turns[order],
    }


def file_columns(
    rng: Generator, sessions: Sessions, chains: Chains, requests: Requests, names: Names
) -> tuple[dict[str, Column], dict[str, Column]]:
    """Give the tables `files` and `session_files`."""
    count = len(chains.session)
    first, last = _span(requests.chain, requests, count)
    first -= PROMPT_LEAD_MS
    size = np.zeros(count, np.int64)
    np.maximum.at(size, requests.chain, requests.offset + _AT_LEAST_BYTES)
    # What a subagent without a transcript did stands in that of its session.
    place = np.where(chains.has_file, np.arange(count), chains.session)
    usage_rows = np.bincount(place[requests.chain], weights=requests.rows, minlength=count).astype(np.int64)
    on_disk = np.flatnonzero(chains.has_file)
    projects = [name.translate(str.maketrans("/_.", "---")) for name in names.projects.to_pylist()]
    ids, agent_ids = names.session_ids.to_pylist(), names.agent_ids.to_pylist()
    paths = []
    for chain, session, is_agent in zip(
        on_disk.tolist(), chains.session[on_disk].tolist(), chains.is_agent[on_disk].tolist(), strict=True
    ):
        nested = f"/subagents/agent-{agent_ids[chain]}" if is_agent else ""
        paths.append(f"/home/dev/.claude/projects/{projects[sessions.project[session]]}/{ids[session]}{nested}.jsonl")
    by_path = sorted(range(len(paths)), key=paths.__getitem__)
    order = on_disk[by_path]
    session = chains.session[order]
    records = usage_rows[order] * 2 + 3
    host = Coded(sessions.host[session], names.hosts)
    files: dict[str, Column] = {
        "file_id": names.file_ids.take(pa.array(order)),
        "path": words([paths[n] for n in by_path]),
        "host": host,
        "kind": Coded(chains.is_agent[order].astype(np.int64), words(["main", "agent"])),
        "size": size[order],
        "mtime_ns": last[order] * 1_000_000,
        "prefix_hash": random_ids(rng, len(order), b"", 32, hexadecimal=True),
        "ingested_bytes": size[order],
        "pending_bytes": np.zeros(len(order), np.int64),
        "lines": records,
        "records": records,
        "usage_rows": usage_rows[order],
        "rejects": np.zeros(len(order), np.int64),
        "odd_fields": np.zeros(len(order), np.int64),
        "first_ts": first[order] * 1000,
        "last_ts": last[order] * 1000,
        "resume_ts": last[order] * 1000,
    }
    by_session = np.lexsort((names.file_ids.to_numpy()[order], np.asarray(ids)[session]))
    session = session[by_session]
    return files, {
        "session_id": names.session_ids.take(pa.array(session)),
        "file_id": names.file_ids.take(pa.array(order[by_session])),
        "host": Coded(sessions.host[session], names.hosts),
        "first_ts": first[order][by_session] * 1000,
        "last_ts": last[order][by_session] * 1000,
        "records": records[by_session],
        "project": Coded(sessions.project[session], names.projects),
        "project_offset": np.zeros(len(order), np.int64),
    }


def text_ids(rng: Generator, count: int) -> pa.Array:
    """Draw ids as those of text blocks: a record's and the block's number."""
    matrix = np.frombuffer(random_ids(rng, count, b"", 34, hexadecimal=True).buffers()[2], np.uint8).reshape(count, 34)
    matrix = matrix.copy()
    matrix[:, 32], matrix[:, 33] = b":1"
    return strings(matrix)


def _shared_columns(sessions: Sessions, chains: Chains, requests: Requests, names: Names) -> dict[str, Column]:
    """Give the columns that a request shares with its usage rows."""
    session, file_place, _ = _places(chains, requests)
    release = sessions.release[session]
    current = np.array([r.is_current_shape for r in RELEASES])[release]
    is_agent = chains.is_agent[requests.chain]
    return {
        "session_id": Coded(session, names.session_ids),
        "cwd": Coded(sessions.project[session], names.projects),
        "git_branch": Coded(_branch(sessions.project)[session], words(["", "main", *(f"feature/{n}" for n in _NAMES)])),
        "host": Coded(sessions.host[session], names.hosts),
        "version": Coded(release, words([r.version for r in RELEASES])),
        "entrypoint": Coded(sessions.entrypoint[session], words(list(ENTRYPOINTS))),
        "model": Coded(requests.model, words(list(MODELS))),
        "origin": Coded((~chains.has_file[requests.chain]).astype(np.int64), words(["assistant", "agent_progress"])),
        "is_sidechain": is_agent,
        "agent_id": Coded(np.where(is_agent, requests.chain, -1), names.agent_ids),
        "prompt_id": Coded(np.where(current, requests.turn, -1), names.prompt_ids),
        "input_tokens": requests.input_tokens,
        "cache_write_5m_tokens": requests.cache_write_5m_tokens,
        "cache_write_1h_tokens": requests.cache_write_1h_tokens,
        "cache_read_tokens": requests.cache_read_tokens,
        "service_tier": Coded(sessions.is_batch[session].astype(np.int64), words(["standard", "batch"])),
        "speed": Coded(np.where(_since(release, 2, 1, 41), requests.is_fast, -1), words(["standard", "fast"])),
        "inference_geo": Coded(
            np.where(_since(release, 2, 1, 41), sessions.is_us[session], -1), words(["not_available", "us"])
        ),
        "effort": Coded(sessions.effort[session], words(["medium", "high", "xhigh"])),
        "thinking_chars": requests.thinking_chars,
        "file_id": Coded(file_place, names.file_ids),
    }


def _places(chains: Chains, requests: Requests) -> tuple[Ints, Ints, Ints]:
    """Give each request's session, the chain whose transcript holds it, and the bytes from row to row there."""
    session = chains.session[requests.chain]
    has_file = chains.has_file[requests.chain]
    return session, np.where(has_file, requests.chain, session), np.where(has_file, 100, 2)


def _branch(project: Ints) -> Ints:
    """Give the code of a project's branch: none, the main one, or one for a feature."""
    return np.where(project % 5 == 4, 0, np.where(project % 2, 1, 2 + project % len(_NAMES)))


def _since(release: Ints, major: int, minor: int, patch: int) -> Ints:
    return np.array([r.since(major, minor, patch) for r in RELEASES])[release]


def _stop_reason(requests: Requests) -> Coded:
    codes = np.where(requests.has_stop, requests.ends_turn.astype(np.int64), -1)
    return Coded(codes, words(["tool_use", "end_turn"]))


def _span(group: Ints, requests: Requests, count: int) -> tuple[Ints, Ints]:
    """Give the first and the last instant of each group, in milliseconds."""
    first, last = np.full(count, 1 << 60), np.zeros(count, np.int64)
    np.minimum.at(first, group, requests.ms)
    np.maximum.at(last, group, requests.last_ms)
    return first, last


def _taken(column: Column, rows: Ints) -> Column:
    if isinstance(column, Coded):
        return Coded(column.codes[rows], column.values)
    return column[rows] if isinstance(column, np.ndarray) else column.take(pa.array(rows))
