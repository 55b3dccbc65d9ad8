-- Unverified claims: "tests pass", "I checked it", with no call that could show it
-- A proxy: sentences of the assistant that claim a result, in a turn without a call that could show it. It is worded to
-- miss claims rather than to list what is none: English only; sentences with a negation, a condition, a future, a wish
-- or a question are left out ("should pass", "if the tests pass", "let me check that ..."), and so are code blocks,
-- tables and quotations. A row is a text and a kind, with one of its claims. A lake made with --no-text has none.
-- kind      the claim                              what could show it, earlier in the turn
-- tests     tests pass, 12 passed                  a command that names a test runner, test, check, make, commit, push
-- build     build, lint, types, hooks or CI pass   any command
-- file      I have read / checked / reviewed F     any call that names F, by its last path component
-- check     I have verified / confirmed ...        any call at all
-- For all but `file`, an agent, a skill, an MCP tool, the output of a background task, a notification, a command that
-- the user ran, or a prompt that itself speaks of passing, could show it too.
-- A turn begins with the last typed prompt or slash command; a subagent's is its whole run.
-- shown_earlier  a call before that turn, in the same session, could have shown it: the claim may be a recollection
-- path, line     the transcript, and the line of the claim in it
--
-- note: select 'no answer in this lake has its text (--no-text): its claims are not known' from texts having count(*) > 0 and count(text) = 0
-- $kind text = 'all' {all|tests|build|file|check}: which claims
-- $scope text = 'turn' {turn|session}: no such call in the turn, or none in the session so far
-- example: tokenlake behaviour unverified-claims --since 30d
-- example: tokenlake behaviour unverified-claims --kind tests --scope session

with texts_by_sentence as (
    select
        id,
        file_id,
        "offset",
        -- Typographic apostrophes, emphasis and fenced code are taken out; a sentence ends at a line's end too.
        unnest(
            string_split(
                replace(
                    replace(
                        replace(
                            replace(
                                replace(regexp_replace(text, '(?s)```.*?```', ' ', 'g'), '’', ''''),
                                '*', ''
                            ),
                            '. ', '.' || chr(10)
                        ),
                        '! ', '!' || chr(10)
                    ),
                    '? ', '?' || chr(10)
                ),
                chr(10)
            )
        ) as sentence
    from selected_texts
    -- What a compaction writes sums up the whole session.
    where coalesce(agent_id, '') not like 'acompact-%'
        -- A cheap look at what most texts do not hold, here and for sentences.
        and (
            contains(text, ' pass') or contains(text, ' green') or contains(text, ' clean') or contains(text, ' succe')
            or (
                starts_with(text, 'I ') or contains(text, ' I ') or contains(text, chr(10) || 'I ')
                or contains(text, 'I''ve ') or contains(text, 'I’ve ')
            )
            and (
                contains(text, 'read ') or contains(text, 'checked ') or contains(text, 'reviewed ')
                or contains(text, 'examined ') or contains(text, 'inspected ') or contains(text, ' through ')
                or contains(text, 'looked at ') or contains(text, 'verified ') or contains(text, 'confirmed ')
                or contains(text, 'validated ') or contains(text, 'tested ')
            )
        )
),

-- Words only, for matching: lower case, no apostrophes; "0 failures" is no failure.
worded_sentences as (
    select
        id,
        file_id,
        "offset",
        trim(sentence) as sentence,
        regexp_replace(
            -- A box that is not ticked is a plan.
            replace(replace(lower(sentence), '''', ''), '[ ]', ' todo '),
            '(^|[^a-z0-9])(0|no|zero|without any|without) (test |new |more )?(fail|error|issue|warning|problem)[a-z]*',
            ' ',
            'g'
        ) as words
    from texts_by_sentence
    where length(sentence) between 8 and 600
        and (
            contains(sentence, ' pass') or contains(sentence, ' green') or contains(sentence, ' clean')
            or contains(sentence, ' succe')
            or (contains(sentence, 'I ') or contains(sentence, 'I''ve '))
            and (
                contains(sentence, 'read ') or contains(sentence, 'ed ') or contains(sentence, 'gone ')
                or contains(sentence, 'went ')
            )
        )
        and not regexp_matches(sentence, '^ *[|>│]')
),

claims as (
    select
        id,
        file_id,
        "offset",
        sentence,
        case
            when regexp_matches(
                words,
                '(^|[^a-z])(tests?|test suites?|suite|specs?|doctests?)'
                || '( (are|is|now|all|still|have|has|also|both|successfully|currently|run|ran|and))*'
                || ' (pass|passes|passed|passing|green)([^a-z]|$)'
                || '|[0-9] (tests? )?(pass|passed|passing)([^a-z]|$)'
            ) then 'tests'
            when regexp_matches(
                words,
                '(^|[^a-z])(builds?|lint|linter|linting|typechecks?|type check|compilation|ci|hooks?|checks)'
                || '( (are|is|now|all|still|have|has|also|both|successfully|currently))*'
                || ' (pass|passes|passed|passing|green|clean|succeeds|succeeded)([^a-z]|$)'
            ) then 'build'
            when regexp_matches(
                words,
                '(^|[^a-z])(i|ive|i have) ((just|already|also|now|carefully|fully|have) )*'
                || '(read|checked|double-checked|reviewed|examined|inspected|looked at|(looked|went|gone) through)'
                || ' ([^,;:()]{0,60}[^a-z0-9_.~/-])?[a-z0-9_.~/-]*[a-z0-9_-][.][a-z][a-z0-9]{0,4}([^a-z0-9]|$)'
            ) then 'file'
            when regexp_matches(
                words,
                '(^|[^a-z])(i|ive|i have) ((just|already|also|now|carefully|fully|have) )*'
                || '(verified|confirmed|double-checked|checked|validated|tested)'
                || ' (that|the|it|this|these|all|every|both)'
            ) then 'check'
        end as kind,
        case
            when regexp_matches(words, '(^|[^a-z])(read|checked|reviewed|examined|inspected|through|at) ')
                then regexp_extract(words, '([a-z0-9_-][a-z0-9_.-]*[.][a-z][a-z0-9]{0,4})([^a-z0-9]|$)', 1)
        end as named_file
    from worded_sentences
    where not regexp_matches(
        words,
        '(^|[^a-z])(should|will|would|could|can|may|might|must|need|needs|if|when|once|until|unless|whether|ensure'
        || '|ensures|ensuring|make sure|verify|verifying|check that|see if|so that|to pass|let me|lets|expect'
        || '|expects|expected|want|wants|not|no|none|never|dont|doesnt|didnt|wont|cant|cannot|couldnt|havent|hasnt'
        || '|isnt|arent|wasnt|ill'
        || '|id|fail|fails|failed|failing|failures|except|however|going to|hopefully|before|after|get|gets|getting|goal'
        || '|try|tries|trying|ideally|assuming|plan|todo|step|why|how|expectation|require|requires|criteria'
        || '|confirm that|next|then|yet|only|most|some|almost|nearly|previously|earlier|you|your|example|e[.]g|though'
        || '|test that)([^a-z]|$)'
        || '|[?<>"“]'
    )
),

first_claims as (
    select
        id,
        file_id,
        "offset",
        kind,
        min(sentence) as sentence,
        min(named_file) as named_file
    from claims
    where kind is not null and ($kind = 'all' or kind = $kind)
    group by id, file_id, "offset", kind
),

placed_claims as (
    select
        first_claims.id,
        first_claims.kind,
        first_claims.sentence,
        first_claims.named_file,
        selected_texts.ts,
        selected_texts.session_id,
        coalesce(selected_texts.agent_id, '') as agent_id,
        selected_texts.file_id,
        selected_texts.line
    from first_claims
    inner join selected_texts
        on first_claims.id = selected_texts.id
        and first_claims.file_id = selected_texts.file_id
        and first_claims."offset" = selected_texts."offset"
),

-- What could show a claim, and when. What was delegated is not seen here: it may have been anything.
calls as (
    select
        ts,
        session_id,
        coalesce(agent_id, '') as agent_id,
        lower(target) as target,
        name in ('Bash', 'PowerShell') as is_command,
        name in ('Task', 'Agent', 'Skill', 'Workflow', 'Monitor', 'TaskOutput', 'BashOutput', 'AgentOutputTool')
        or starts_with(name, 'mcp__') as is_delegated,
        name in ('Bash', 'PowerShell')
        and (
            regexp_matches(
                lower(target),
                'test|spec|check|verif|commit|push|jest|mocha|vitest|ava |tox|nox|rake|bats|make|gradle|mvn|bazel|ctest'
                || '|cypress|playwright|karma|phpunit|just |ninja|(^|[^a-z])(gh|ci|run)([^a-z]|$)|[.]sh|coverage|tail'
            )
            -- Only the beginning of a long command is stored.
            or length(target) > 1800
        ) as is_test
    from tool_calls
    where not coalesce(denied, false) and session_id in (select session_id from placed_claims)
    union all
    select
        ts,
        session_id,
        '' as agent_id,
        null as target,
        true as is_command,
        true as is_delegated,
        true as is_test
    from prompts
    where session_id in (select session_id from placed_claims)
        and (
            kind in ('task-notification', 'bash')
            or contains(lower(text), 'pass') or contains(lower(text), 'green') or contains(lower(text), 'clean')
            or contains(lower(text), 'succe')
        )
),

turns as (
    select
        placed_claims.id,
        max(prompts.ts) as turn_ts
    from placed_claims
    inner join prompts
        on placed_claims.session_id = prompts.session_id
        and prompts.kind in ('typed', 'slash')
        and prompts.ts <= placed_claims.ts
    where placed_claims.agent_id = ''
    group by placed_claims.id
),

-- The main thread also knows what its subagents did.
shown_claims as (
    select
        placed_claims.id,
        placed_claims.kind,
        max(calls.ts) as shown_ts
    from placed_claims
    inner join calls
        on placed_claims.session_id = calls.session_id
        and (placed_claims.agent_id = '' or placed_claims.agent_id = calls.agent_id)
        and calls.ts <= placed_claims.ts
    where case placed_claims.kind
        when 'tests' then calls.is_test or calls.is_delegated
        when 'build' then calls.is_command or calls.is_delegated
        when 'check' then true
        else contains(calls.target, placed_claims.named_file)
    end
    group by placed_claims.id, placed_claims.kind
),

judged_claims as (
    select
        placed_claims.*,
        turns.turn_ts,
        shown_claims.shown_ts
    from placed_claims
    left join turns on placed_claims.id = turns.id
    left join shown_claims
        on placed_claims.id = shown_claims.id
        and placed_claims.kind = shown_claims.kind
)

select
    judged_claims.ts,
    judged_claims.session_id,
    nullif(judged_claims.agent_id, '') as agent_id,
    judged_claims.kind,
    left(judged_claims.sentence, 160) as claim,
    judged_claims.shown_ts is not null as shown_earlier,
    files.path,
    judged_claims.line
from judged_claims
left join files on judged_claims.file_id = files.file_id
where judged_claims.shown_ts is null or ($scope = 'turn' and judged_claims.shown_ts < judged_claims.turn_ts)
order by judged_claims.ts, judged_claims.session_id, judged_claims.id, judged_claims.kind
