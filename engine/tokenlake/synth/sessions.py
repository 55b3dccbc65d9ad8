"""One session: its turns of prompts and requests, its compactions, and the copies forks make of it."""

import re
from typing import Final

from tokenlake.synth.agents import compose_compaction_request, write_agent_call
from tokenlake.synth.clock import HOUR_MS, stamp
from tokenlake.synth.draws import Draws, quantile_table
from tokenlake.synth.lines import NULL, Place
from tokenlake.synth.options import LONG_CONTEXT
from tokenlake.synth.plans import History, SessionPlan
from tokenlake.synth.requests import write_request
from tokenlake.synth.transcript import COMPACT_AT_TOKENS, Transcript
from tokenlake.synth.truth import Tally

_LINKED: Final = re.compile(rb'"uuid":("[0-9a-f-]{36}"),"timestamp":"[^"]+"')
_PROMPT: Final = quantile_table((0, 6), (0.5, 90), (0.9, 700), (0.99, 6000), (1, 12_000))
_REQUESTS: Final = quantile_table((0, 1), (0.5, 7), (0.9, 30), (0.99, 90), (1, 160))
_IDLE_MS: Final = quantile_table((0, 4000), (0.5, 90_000), (0.9, 1_200_000), (0.97, 6 * HOUR_MS), (1, 30 * HOUR_MS))


def compose_session(draws: Draws, plan: SessionPlan, tally: Tally) -> list[Transcript]:
    """Compose a session's files, main one first, then its subagents'; plant their requests in the tally."""
    main = Transcript(
        path=f"{plan.project.folder}/{plan.session_id}.jsonl",
        draws=draws,
        release=plan.release,
        place=Place(plan.project.cwd, plan.project.branch, plan.session_id),
        model=plan.model,
        writes_1h=plan.writes_1h,
        now_ms=plan.start_ms,
        repeats=plan.duplicate == "repeated",
        disputed_share=plan.disputed_share,
        advisor_model=plan.models[0].removesuffix(LONG_CONTEXT),
    )
    agents: list[Transcript] = []
    if plan.history is not None and _copy_history(main, plan.history, plan.target_bytes, plan.project.cwd):
        tally.forked_sessions += 1
    else:
        _write_opening(main)
    agent_bytes = 0
    # What names the origin of a copied line may fill a fork: it goes on all the same.
    while not main.cuts or main.size_bytes + agent_bytes < plan.target_bytes:
        budget = plan.target_bytes - agent_bytes
        before = len(agents)
        _write_turn(main, plan, tally, agents, budget)
        agent_bytes += sum(agent.size_bytes for agent in agents[before:])
        main.mark_cut()
    return [main, *agents]


def _copy_history(main: Transcript, history: History, target_bytes: int, cwd: str) -> bool:
    """Start a fork with another session's lines up to the last turn that leaves room, if there is one.

    The copy carries the new session id, as releases from 2.0 write it; 1.0 left the old one on copied lines.
    """
    fitting = [cut for cut in history.cuts if cut.size_bytes < 0.7 * target_bytes and cut.now_ms < main.now_ms]
    if not fitting:
        return False
    cut = fitting[-1]
    copy = b"".join(history.lines[: cut.entries])
    if history.release.since(2, 0, 0):
        copy = copy.replace(history.session_id.encode(), main.place.session_id.encode())
    # A branch names what it copied, other forks do not; the branch of a branch keeps the first name.
    if history.release.has_forked_from and main.draws.random() < 0.5 and b'"forkedFrom":' not in copy:
        origin = b',"forkedFrom":{"sessionId":"%b","messageUuid":' % history.session_id.encode()
        copy = _LINKED.sub(rb"\g<0>" + origin + rb"\g<1>}", copy)
    if cwd != history.project.cwd:
        copy = copy.replace(b'"cwd":"%b"' % history.project.cwd.encode(), b'"cwd":"%b"' % cwd.encode())
    main.lines.append(copy)
    main.size_bytes = len(copy)
    main.raw.add(cut.raw)
    main.parent = cut.parent
    main.context_tokens = min(cut.context_tokens, main.window_tokens)
    main.first_request = False
    return True


def _write_opening(main: Transcript) -> None:
    """Write what a release puts before the first prompt."""
    draws, release = main.draws, main.release
    if not release.since(2, 1, 23) and draws.random() < 0.2:
        main.write(main.frames.summary % (draws.text(50), draws.uuid()))
    if release.since(2, 1, 237):
        main.write(main.frames.latch)
    if release.is_current_shape:
        main.write(main.frames.mode)
        listing = b'"type":"skill_listing","content":"%b","skillCount":14,"isInitial":true' % draws.text(9000)
        main.write_linked(main.frames.attachment, (listing,))


def _write_turn(main: Transcript, plan: SessionPlan, tally: Tally, agents: list[Transcript], budget_bytes: int) -> None:
    """Write a prompt and the requests that answer it, fewer when the budget is used up."""
    draws, release = main.draws, main.release
    random = draws.random
    idle_ms = _IDLE_MS[int(random() * 1024)] if main.cuts else 0
    main.now_ms += idle_ms
    spent = 0
    if main.context_tokens > main.compact_at_tokens:
        spent = _write_compaction(main, plan, tally, agents)
    # The history has to fit into the window of the other model.
    if random() < 0.02 and main.context_tokens < COMPACT_AT_TOKENS:
        main.switch_model(plan.models[int(random() * len(plan.models))])
    full_tokens = main.compact_at_tokens + 13_000
    turn_start_ms, turn_start_lines = main.now_ms, main.raw.lines
    _write_prompt(main)
    expired = idle_ms > (HOUR_MS if plan.writes_1h else 300_000) and not main.first_request
    for _ in range(_REQUESTS[int(random() * 1024)]):
        if main.size_bytes + spent >= budget_bytes or main.context_tokens > full_tokens:
            break
        share = random()
        if share < 0.02:
            spent += write_agent_call(main, plan, tally, agents, budget_bytes - main.size_bytes - spent)
        elif share < 0.023:
            _write_failure(main)
        else:
            write_request(main, tally, expired=expired)
        expired = False
    write_request(main, tally, closing=True, expired=expired)
    if release.since(2, 0, 64) and random() < 0.5:
        main.write_linked(main.frames.stop_hooks, (), (b"toolu_stop",))
    if release.since(2, 1, 29) and random() < 0.02:
        number = 1 + int(random() * 900)
        main.write(main.frames.pull_request % (number, number, stamp(main.now_ms)))
    if release.since(2, 1, 1):
        duration_ms = main.now_ms - turn_start_ms
        main.write_linked(main.frames.turn_duration, (duration_ms, main.raw.lines - turn_start_lines))


def _write_prompt(main: Transcript) -> None:
    """Write a human prompt (mostly typed, sometimes a slash command or a block) and the lines around it."""
    draws, release = main.draws, main.release
    text = draws.text(_PROMPT[int(draws.random() * 1024)])
    if release.is_current_shape:
        main.prompt_id = draws.uuid()
    if release.since(2, 0, 5):
        snapshot = draws.uuid()
        line = main.frames.snapshot % (snapshot, snapshot, stamp(main.now_ms))
        main.write(line.replace(b'"trackedFileBackups":{}', _backups(main)))
        if release.since(2, 1, 231):
            path = b"%b/src/part_%d/module.py" % (main.base, len(main.cuts) % 9)
            main.write(main.frames.snapshot_delta % (snapshot, snapshot, path, stamp(main.now_ms)))
    if release.since(2, 0, 65) and draws.random() < 0.1:
        main.write(main.frames.queued % (stamp(main.now_ms), text))
    kind = draws.random()
    if kind < 0.07:
        content = b'"<command-name>/review</command-name>\\n<command-args>%b</command-args>"' % text
    elif kind < 0.15:
        content = b'[{"type":"text","text":"%b"}]' % text
    else:
        content = b'"%b"' % text
    main.prompts.append(content)
    main.write_linked(main.frames.prompt, (main.prompt_fragment(), content))
    if release.is_current_shape:
        main.write(main.frames.last_prompt % text.split(b"\\", 1)[0])
        main.write(main.frames.title % b"Work on the parts")
        reminder = b'"type":"task_reminder","content":[],"itemCount":0'
        main.write_linked(main.frames.attachment, (reminder,))


def _backups(main: Transcript) -> bytes:
    """Make the list of files that a snapshot keeps copies of: it grows with the session."""
    backup = b'"%b/src/part_%d/module.py":{"backupFileName":"%b@v%d","version":%d,"backupTime":%b}'
    time = stamp(main.now_ms)
    count = min(len(main.cuts), 14)
    backups = [backup % (main.base, number, main.draws.hex_id(), count, count, time) for number in range(count)]
    return b'"trackedFileBackups":{%b}' % b",".join(backups)


def _write_compaction(main: Transcript, plan: SessionPlan, tally: Tally, agents: list[Transcript]) -> int:
    """Write a compaction: its request, the boundary where the release has one, and the summary to go on from.

    Gives the bytes of the file that the request has to itself where the release logs it.
    """
    before, last, release = main.context_tokens, main.parent, main.release
    spent = 0
    if release.has_compaction_files:
        request = compose_compaction_request(main, plan, tally)
        agents.append(request)
        spent = request.size_bytes
    if release.since(2, 1, 14) and not release.since(2, 1, 23):
        main.write_linked(main.frames.microcompact, (), (before,))
        last = main.parent
    main.parent = NULL
    if release.since(2, 0, 65):
        main.write_linked(main.frames.compact_boundary, (last,), (before,))
    summary = b"This session is being continued from a previous conversation. " + main.draws.text(7000)
    main.write_linked(main.frames.compact_summary, (summary,))
    main.first_request = True
    return spent


def _write_failure(main: Transcript) -> None:
    """Write API errors with their retries, or a usage limit, as a message of the `<synthetic>` model."""
    draws = main.draws
    if main.release.since(2, 0, 5) and draws.random() < 0.7:
        for attempt in range(1, 4):
            main.now_ms += 700 * attempt
            main.write_linked_late(main.frames.api_error, (600 * attempt, attempt))
        return
    if main.release.since(2, 0, 0):
        text = "You've hit your session limit · resets 7:20pm (Europe/Brussels)".encode()
        fields = b'"error":"rate_limit","isApiErrorMessage":true,'
    else:
        text = b"Claude AI usage limit reached|%d" % (main.now_ms // 1000 + 7200)
        fields = b'"isApiErrorMessage":false,'
    main.now_ms += 900
    main.write_linked(main.frames.synthetic, (draws.uuid(), text, fields))
    main.raw.synthetic_rows += 1
