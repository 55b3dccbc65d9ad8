"""What transcripts are known to hold, up to a version of the agent: types of records and blocks, and their fields.

Names only, as far as they have a place of their own: what tools take and return is theirs.
"""

from __future__ import annotations

VERSION = (2, 1, 240)
"""The newest version of the agent whose transcripts were examined."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _words(
    "type uuid parentUuid logicalParentUuid isSidechain userType cwd sessionId session_id version gitBranch timestamp "
    "slug agentId entrypoint sessionKind teamName isTeammate forkedFrom isMeta message"
)
_EVENT = _words("type sessionId session_id timestamp uuid")

FIELDS: dict[str, frozenset[str]] = {
    "user": _COMMON
    | _words(
        "toolUseResult isCompactSummary isVisibleInTranscriptOnly promptId permissionMode promptSource origin "
        "thinkingMetadata todos planContent imagePasteIds sourceToolUseID sourceToolAssistantUUID toolDenialKind "
        "classifierMetaLines turnCompanion interruptedMessageId"
    ),
    "assistant": _COMMON
    | _words(
        "requestId isApiErrorMessage error apiErrorStatus effort attributionSkill attributionPlugin "
        "attributionMcpServer attributionMcpTool advisorModel apiBlockIndex costUSD durationMs"
    ),
    "system": _COMMON
    | _words(
        "subtype content level toolUseID cause error compactMetadata microcompactMetadata durationMs messageCount "
        "hasOutput hookCount hookErrors hookInfos hookAdditionalContext preventedContinuation stopReason maxRetries "
        "retryAttempt retryInMs source url originalModel fallbackModel trigger apiRefusalCategory requestId"
    ),
    "progress": _COMMON | _words("data toolUseID parentToolUseID"),
    "attachment": _COMMON | _words("attachment"),
    "summary": _words("type summary leafUuid"),
    "file-history-snapshot": _words("type messageId snapshot isSnapshotUpdate"),
    "file-history-delta": _EVENT | _words("messageId snapshotMessageId trackingPath backup"),
    "queue-operation": _EVENT | _words("operation content"),
    "last-prompt": _EVENT | _words("lastPrompt leafUuid"),
    "custom-title": _EVENT | _words("customTitle"),
    "ai-title": _EVENT | _words("aiTitle"),
    "agent-name": _EVENT | _words("agentName"),
    "mode": _EVENT | _words("mode"),
    "permission-mode": _EVENT | _words("permissionMode"),
    "pr-link": _EVENT | _words("prNumber prUrl prRepository"),
    "frame-link": _EVENT | _words("path frameUrl title"),
    "atis-latch": _EVENT | _words("atis"),
}
"""The fields of each type of record, on its top level."""

TYPES = frozenset(FIELDS) | _words(
    "tag agent-setting agent-color worktree-state content-replacement invoked-skills bridge-session checkpoint"
)
"""All types of records; of those that FIELDS lacks, the fields are not known."""

MESSAGE = _words(
    "id type role model content stop_reason stop_sequence stop_details usage container context_management diagnostics "
    "ttftMs"
)
USAGE = _words(
    "input_tokens output_tokens cache_creation_input_tokens cache_read_input_tokens cache_creation service_tier "
    "server_tool_use inference_geo iterations speed output_tokens_details"
)
USAGE_PARTS: dict[str, frozenset[str]] = {
    "cache_creation": _words("ephemeral_5m_input_tokens ephemeral_1h_input_tokens"),
    "server_tool_use": _words("web_search_requests web_fetch_requests"),
    "output_tokens_details": _words("thinking_tokens"),
}
ITERATION = USAGE | _words("type model")
ITERATION_TYPES = _words("message fallback_message advisor_message compaction")

BLOCKS = _words(
    "text thinking redacted_thinking tool_use tool_result image document fallback server_tool_use "
    "web_search_tool_result advisor_tool_result compaction tool_reference"
)
SUBTYPES = _words(
    "api_error stop_hook_summary turn_duration local_command away_summary informational bridge_status "
    "microcompact_boundary model_refusal_fallback compact_boundary scheduled_task_fire memory_saved"
)
"""Subtypes of system records."""

PROGRESS = _words(
    "hook_progress bash_progress agent_progress mcp_progress query_update search_results_received waiting_for_task"
)
EVENT_TYPES = TYPES | _words("unknown")
