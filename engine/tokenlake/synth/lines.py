"""Line templates by release: bytes with `%b` slots for what changes from line to line."""

from dataclasses import dataclass
from functools import lru_cache

from tokenlake.synth.releases import Release

NULL = b"null"

# Slots in order; uuids, parents and timestamps come quoted.
_MESSAGE = b'"id":"%b","type":"message","role":"assistant","content":[%b],"stop_reason":%b,"stop_sequence":null'
_BETWEEN = b"\0"
_HOOK = b"/usr/local/bin/check-hook --event "


@dataclass(frozen=True, slots=True)
class Place:
    """What is constant for the lines of one file; `agent_id` is empty on the main thread."""

    cwd: str
    branch: str
    session_id: str
    agent_id: str = ""
    sidechain: bool = False


@dataclass(frozen=True, slots=True)
class Frames:
    """The templates of one file, each a whole line; the names give the slots in order."""

    # parent, message id, block, stop_reason, usage, request id, cost fragment, uuid, timestamp
    assistant: bytes
    # parent, prompt id fragment, content (string or list), uuid, timestamp
    prompt: bytes
    # parent, prompt id fragment, tool_use id, content and is_error, uuid, timestamp, extra fields
    tool_result: bytes
    # parent, content, uuid, timestamp
    compact_summary: bytes
    # parent (logical), uuid, timestamp, tokens before
    compact_boundary: bytes
    # parent, content, uuid, timestamp, tool_use id
    hook_notice: bytes
    # parent, uuid, timestamp, tool_use id
    stop_hooks: bytes
    # parent, duration ms, message count, uuid, timestamp
    turn_duration: bytes
    # parent, retry ms, attempt, timestamp, uuid
    api_error: bytes
    # parent, tool_use id, tool_use id, timestamp, uuid
    hook_progress: bytes
    # parent, output, elapsed seconds, lines, number, tool_use id, timestamp, uuid
    bash_progress: bytes
    # parent, timestamp, model, message id, block, stop_reason, usage, request id, uuid of the agent's line,
    # prompt, agent id, message id, tool_use id, uuid, timestamp
    agent_progress: bytes
    # parent, attachment fields, uuid, timestamp
    attachment: bytes
    # parent, message id (quoted uuid), text, error fields, uuid, timestamp
    synthetic: bytes
    # uuid, uuid, timestamp
    snapshot: bytes
    # timestamp, content
    queued: bytes
    # text
    last_prompt: bytes
    # text
    title: bytes
    mode: bytes
    # text, quoted uuid
    summary: bytes
    # number, number, timestamp
    pull_request: bytes
    # quoted uuid, quoted uuid, path, timestamp
    snapshot_delta: bytes
    latch: bytes
    # parent, uuid, timestamp, tokens before
    microcompact: bytes


def frames_for(release: Release, place: Place, model: str) -> Frames:
    """Make the templates for one file and model."""

    templates = _frames(release, place.sidechain, bool(place.agent_id))
    for slot, value in (
        (b"{cwd}", place.cwd),
        (b"{branch}", place.branch),
        (b"{session}", place.session_id),
        (b"{agent}", place.agent_id),
        (b"{model}", model),
    ):
        templates = templates.replace(slot, value.encode().replace(b"%", b"%%"))
    return Frames(*templates.split(_BETWEEN))


@lru_cache(maxsize=64)
def _frames(release: Release, sidechain: bool, has_agent: bool) -> bytes:
    """Join a release's templates in the order of the fields of Frames, the place still named in braces."""
    version = release.version.encode()
    side = b"true" if sidechain else b"false"
    agent = b',"agentId":"{agent}"' if has_agent else b""
    common = b'"cwd":"{cwd}","sessionId":"{session}","version":"' + version + b'","gitBranch":"{branch}"'
    if release.is_current_shape:
        head = b'{"parentUuid":%b,"isSidechain":' + side + agent + b","
        twice = b',"session_id":"{session}"' if release.since(2, 1, 231) else b""
        tail = b',"userType":"external","entrypoint":"cli",' + common + twice + b"}\n"
    else:
        head = b'{"parentUuid":%b,"isSidechain":' + side + b',"userType":"external",' + common + agent + b","
        tail = b"}\n"

    message = b'{"model":"%b",' + _MESSAGE
    if release.since(2, 1, 101):
        message += b',"stop_details":null'
    message += b',"usage":%b'
    if release.since(2, 1, 119):
        message += b',"diagnostics":null'
    message += b"}"
    own_message = message.replace(b"%b", b"{model}", 1)
    if not release.since(2, 0, 0):
        own_message = own_message.replace(b'"model":"{model}",', b"", 1).replace(
            b'"role":"assistant",', b'"role":"assistant","model":"{model}",', 1
        )
    effort = b',"effort":"high"' if release.since(2, 1, 212) else b""
    prompt_extra = b""
    if release.since(1, 0, 117) and not release.since(2, 1, 46):
        prompt_extra += b',"thinkingMetadata":{"level":"high","disabled":false,"triggers":[]}'
    if release.since(2, 0, 64) and not release.since(2, 1, 63):
        prompt_extra += b',"todos":[]'
    if release.since(2, 1, 29):
        prompt_extra += b',"permissionMode":"default"'
    if release.since(2, 1, 119):
        prompt_extra += b',"origin":{"kind":"human"}'
    if release.since(2, 1, 181):
        prompt_extra += b',"promptSource":"typed"'

    compacted = b',"durationMs":61000,"postTokens":9000' if release.since(2, 1, 217) else b""

    bodies = (
        b'"message":' + own_message + b',"requestId":"%b",%b"type":"assistant","uuid":%b,"timestamp":%b' + effort,
        b'%b"type":"user","message":{"role":"user","content":%b},"uuid":%b,"timestamp":%b'
        + (b"" if sidechain else prompt_extra),
        b'%b"type":"user","message":{"role":"user","content":[{"tool_use_id":"%b","type":"tool_result",'
        b'"content":%b}]},"uuid":%b,"timestamp":%b%b',
        b'"type":"user","message":{"role":"user","content":"%b"},"uuid":%b,"timestamp":%b,'
        b'"isVisibleInTranscriptOnly":true,"isCompactSummary":true',
        b'"logicalParentUuid":%b,"type":"system","subtype":"compact_boundary","content":"Compacted",'
        b'"isMeta":false,"uuid":%b,"timestamp":%b,"level":"info",'
        b'"compactMetadata":{"trigger":"auto","preTokens":%d' + compacted + b"}",
        b'"type":"system","content":"%b","isMeta":false,"uuid":%b,"timestamp":%b,"toolUseID":"%b","level":"info"',
        b'"type":"system","subtype":"stop_hook_summary","hookCount":1,"hookInfos":[{"command":"' + _HOOK + b'Stop"}],'
        b'"hookErrors":[],"preventedContinuation":false,"stopReason":"","hasOutput":false,"level":"suggestion",'
        b'"uuid":%b,"timestamp":%b,"toolUseID":"%b"',
        b'"type":"system","subtype":"turn_duration","durationMs":%d,"messageCount":%d,"uuid":%b,"timestamp":%b,'
        b'"isMeta":false',
        b'"type":"system","subtype":"api_error","level":"error","error":{"status":529,"headers":{},'
        b'"error":{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}},"retryInMs":%d.25,'
        b'"retryAttempt":%d,"maxRetries":10,"timestamp":%b,"uuid":%b',
        b'"type":"progress","data":{"type":"hook_progress","hookEvent":"PostToolUse","hookName":"PostToolUse:Bash",'
        b'"command":"' + _HOOK + b'PostToolUse"},"parentToolUseID":"%b","toolUseID":"%b","timestamp":%b,"uuid":%b',
        b'"type":"progress","data":{"type":"bash_progress","output":"%b","fullOutput":"","elapsedTimeSeconds":%d,'
        b'"totalLines":%d},"toolUseID":"bash-progress-%d","parentToolUseID":"%b","timestamp":%b,"uuid":%b',
        b'"type":"progress","data":{"message":{"type":"assistant","timestamp":%b,"message":'
        + message
        + b',"requestId":"%b","uuid":%b},"normalizedMessages":[],"type":"agent_progress","prompt":"%b",'
        b'"agentId":"%b"},"toolUseID":"agent_%b","parentToolUseID":"%b","uuid":%b,"timestamp":%b',
        b'"attachment":{%b},"type":"attachment","uuid":%b,"timestamp":%b',
        b'"type":"assistant","message":{"id":%b,"model":"<synthetic>","role":"assistant","stop_reason":'
        b'"stop_sequence","stop_sequence":"","type":"message","usage":{"input_tokens":0,"output_tokens":0,'
        b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"server_tool_use":{"web_search_requests":0,'
        b'"web_fetch_requests":0},"service_tier":null},"content":[{"type":"text","text":"%b"}]},%b"uuid":%b,'
        b'"timestamp":%b',
    )
    loose = (
        b'{"type":"file-history-snapshot","messageId":%b,"snapshot":{"messageId":%b,"trackedFileBackups":{},'
        b'"timestamp":%b},"isSnapshotUpdate":false}\n',
        b'{"type":"queue-operation","operation":"enqueue","timestamp":%b,"sessionId":"{session}","content":"%b"}\n',
        b'{"type":"last-prompt","lastPrompt":"%b","sessionId":"{session}"}\n',
        b'{"type":"custom-title","customTitle":"%b","sessionId":"{session}"}\n',
        b'{"type":"permission-mode","permissionMode":"default","sessionId":"{session}"}\n',
        b'{"type":"summary","summary":"%b","leafUuid":%b}\n',
        b'{"type":"pr-link","prNumber":%d,"prUrl":"https://git.example/dev/parts/pull/%d","prRepository":"dev/parts",'
        b'"sessionId":"{session}","timestamp":%b}\n',
        b'{"type":"file-history-delta","messageId":%b,"snapshotMessageId":%b,"trackingPath":"%b","backup":null,'
        b'"sessionId":"{session}","timestamp":%b}\n',
        b'{"type":"atis-latch","atis":true,"sessionId":"{session}"}\n',
    )
    microcompact = (
        b'"type":"system","subtype":"microcompact_boundary","content":"Context microcompacted","isMeta":false,'
        b'"uuid":%b,"timestamp":%b,"level":"info","microcompactMetadata":{"trigger":"auto","preTokens":%d,'
        b'"tokensSaved":9000,"compactedToolIds":[],"clearedAttachmentUUIDs":[]}'
    )
    return _BETWEEN.join([*(head + body + tail for body in bodies), *loose, head + microcompact + tail])


@lru_cache(maxsize=64)
def usage_template(release: Release) -> bytes:
    """Give a release's `message.usage` with named slots: input, output, w5, w1, write (both) and read."""
    nested = b'"cache_creation":{"ephemeral_5m_input_tokens":%(w5)d,"ephemeral_1h_input_tokens":%(w1)d}'
    flat = b'"input_tokens":%(input)d,"cache_creation_input_tokens":%(write)d,"cache_read_input_tokens":%(read)d'
    usage = b"{" + flat
    if release.is_current_shape:
        usage += (
            b',"output_tokens":%(output)d,"server_tool_use":{"web_search_requests":0,"web_fetch_requests":0},'
            b'"service_tier":"standard",' + nested + b',"inference_geo":"not_available","iterations":[{' + flat
        )
        usage += b',"output_tokens":%(output)d,' + nested + b',"type":"message"}],"speed":"standard"'
        if release.since(2, 1, 231):
            usage += b',"output_tokens_details":{"thinking_tokens":0}'
        return usage + b"}"
    if release.has_write_split:
        usage += b"," + nested
    usage += b',"output_tokens":%(output)d,"service_tier":"standard"'
    if release.since(2, 1, 17):
        usage += b',"inference_geo":"not_available"'
    if release.since(2, 1, 30):
        usage += b',"server_tool_use":{"web_search_requests":0,"web_fetch_requests":0}'
    if release.since(2, 1, 38):
        usage += b',"iterations":[]'
    if release.since(2, 1, 41):
        usage += b',"speed":"standard"'
    return usage + b"}"
