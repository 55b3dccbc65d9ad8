"""Subagents: the call that starts one, its own lines, what the parent's lines repeat of them, its result."""

from typing import Final

from tokenlake.synth.draws import quantile_table
from tokenlake.synth.lines import Place
from tokenlake.synth.plans import SessionPlan
from tokenlake.synth.requests import write_request, write_result_line
from tokenlake.synth.tools import Call
from tokenlake.synth.transcript import Transcript
from tokenlake.synth.truth import Tally

_AGENT_BYTES: Final = quantile_table((0, 4000), (0.5, 60_000), (0.9, 300_000), (1, 900_000))


def write_agent_call(
    main: Transcript, plan: SessionPlan, tally: Tally, agents: list[Transcript], budget_bytes: int
) -> int:
    """Write a Task call, its subagent and its result; gives the bytes spent in the subagent's own file."""
    draws, release = main.draws, main.release
    text = draws.text(200 + int(draws.random() * 1800))
    tool = b"Agent" if release.since(2, 1, 63) else b"Task"
    asked = b'{"description":"%b","prompt":"%b","subagent_type":"Explore"}' % (draws.text(28), text)
    tool_use_id = write_request(main, tally, only=Call(tool, asked, b"", b""))
    agent = _compose_agent(main, plan, tally, text, min(_AGENT_BYTES[int(draws.random() * 1024)], budget_bytes // 2))
    main.now_ms = max(main.now_ms, agent.now_ms) + 50
    agent_id = agent.place.agent_id.encode()
    written = True
    if release.agents == "inline":
        main.lines += agent.lines
        main.size_bytes += agent.size_bytes
        main.raw.add(agent.raw)
    elif agent.usage_rows:
        model = agent.model.encode()
        for row in agent.usage_rows:
            uuid = draws.uuid()
            main.write(
                main.frames.agent_progress
                % (
                    main.parent,
                    row.timestamp,
                    model,
                    *row[1:],
                    text,
                    agent_id,
                    row.message_id,
                    tool_use_id,
                    uuid,
                    row.timestamp,
                )
            )
            main.raw.progress_usage_rows += 1
            main.parent = uuid
        # Some agents' files are gone: their progress lines are then the only trace of their requests.
        written = draws.random() < 0.7
    if written and release.agents != "inline":
        agents.append(agent)
        if release.is_current_shape:
            agent.beside[agent.path.removesuffix("jsonl") + "meta.json"] = (
                b'{"agentType":"Explore","toolUseId":"%b","description":"Look it up","spawnDepth":1,"model":"%b"}'
                % (tool_use_id, agent.model.encode())
            )
    tokens = agent.last_tokens
    answer = b'[{"type":"text","text":"%b"}]' % draws.text(900)
    # These figures describe the agent's last request only: a count that adds them is wrong.
    result = (
        b',"toolUseResult":{"status":"completed","prompt":"%b","agentId":"%b","content":%b,"totalDurationMs":%d,'
        b'"totalTokens":%d,"totalToolUseCount":9,"usage":{"input_tokens":%d,"cache_creation_input_tokens":%d,'
        b'"cache_read_input_tokens":%d,"output_tokens":%d,"service_tier":"standard"}}'
        % (
            text,
            agent_id,
            answer,
            40_000,
            sum(tokens),
            tokens[0],
            tokens[2] + tokens[3],
            tokens[4],
            tokens[1],
        )
    )
    write_result_line(main, tool_use_id, answer, result)
    return agent.size_bytes if written and release.agents != "inline" else 0


def _compose_agent(main: Transcript, plan: SessionPlan, tally: Tally, text: bytes, target_bytes: int) -> Transcript:
    """Compose a subagent's lines: its prompt, requests up to the target size, and its answer."""
    draws, release = main.draws, main.release
    digits = 17 if release.is_current_shape else 8 if release.agents == "flat" else 7
    agent_id = ("a" + draws.hex_id().decode())[:digits] if release.agents != "inline" else ""
    share = draws.random()
    folder = _folder(main, plan)
    workflow = f"workflows/wf_{agent_id[1:9]}" if release.since(2, 1, 181) and draws.random() < 0.1 else ""
    agent = _open(
        main,
        f"{folder}/{workflow}/agent-{agent_id}" if workflow else f"{folder}/agent-{agent_id}",
        agent_id,
        # The last of the models, the small one, is the usual one here.
        model=plan.models[-1 - int(share * share * len(plan.models))],
        # Subagents are short: most write their cache for five minutes.
        writes_1h=main.writes_1h and draws.random() < 0.3,
    )
    if workflow:
        agent.beside[f"{folder}/{workflow}/journal.jsonl"] = b'{"event":"started","agentId":"%b"}\n' % agent_id.encode()
    agent.write_linked(agent.frames.prompt, (agent.prompt_fragment(), b'"%b"' % text))
    while agent.size_bytes < target_bytes and agent.context_tokens < agent.compact_at_tokens:
        write_request(agent, tally)
    write_request(agent, tally, closing=True)
    return agent


def compose_compaction_request(main: Transcript, plan: SessionPlan, tally: Tally) -> Transcript:
    """Compose the file of a compaction's request: the last prompts again, and one request that reads the context."""
    agent_id = f"acompact-{main.draws.hex_id().decode()[:6]}"
    path = f"{_folder(main, plan)}/agent-{agent_id}"
    agent = _open(main, path, agent_id, model=main.named_model, writes_1h=main.writes_1h)
    agent.context_tokens, agent.first_request = main.context_tokens, False
    for content in (*main.prompts, b'"Sum up the conversation so far, to go on from."'):
        agent.write_linked(agent.frames.prompt, (agent.prompt_fragment(), content))
    write_request(agent, tally, closing=True)
    main.now_ms = agent.now_ms
    return agent


def _folder(main: Transcript, plan: SessionPlan) -> str:
    """Give the folder of a session's subagents, by release."""
    folder = plan.project.folder
    return f"{folder}/{main.place.session_id}/subagents" if main.release.agents == "nested" else folder


def _open(main: Transcript, path: str, agent_id: str, *, model: str, writes_1h: bool) -> Transcript:
    """Open a subagent's file; `path` lacks its ending."""
    place = main.place
    agent = Transcript(
        path=f"{path}.jsonl",
        draws=main.draws,
        release=main.release,
        place=Place(place.cwd, place.branch, place.session_id, agent_id, True),
        model=model,
        writes_1h=writes_1h,
        now_ms=main.now_ms + 300,
        repeats=main.repeats,
        disputed_share=main.disputed_share,
        advisor_model=main.advisor_model,
    )
    agent.prompt_id = main.prompt_id
    return agent
