-- Secret reads: key and credential files read, value-like strings in later inputs
-- A row is a finding. Names and places only: neither a command nor a value is ever shown, and what looks like a value
-- inside a file's path is masked.
-- finding   read: a call whose target names such a file: a Read, or a shell command (the first such name in it)
--           value-like-input: a later call of the session whose target holds a string in the form of a secret's value
-- what      read: the file, as named. value-like-input: the form (API key, JWT ...), and the name that it is given to
-- outcome   ok | error | denied | unanswered, of the call; a read that failed opens no search for values
-- reads_before  reads of such files in the session before a value-like input; last_read the last file of them
-- path, offset  the transcript, and the byte of it at which the record starts
-- Computed from what the lake keeps of a tool call, its target: a path, command, pattern, URL or query, the first 2,000
-- bytes of the input at most. Contents of files and of edits are not kept, so a value-like input is a proxy: that the
-- string is the very value that was read is not known, and values written into files are not seen.
-- Examples, samples, templates, public keys and known_hosts are left out.
--
-- $finding text = 'all' {all|read|value-like-input}: which findings
-- example: tokenlake behaviour secret-reads --since 30d
-- example: tokenlake behaviour secret-reads --finding value-like-input

with named_files as (
    select
        tool_use_id,
        session_id,
        ts,
        name,
        target,
        not coalesce(denied, false) and not coalesce(is_error, false) and result_ts is not null as is_done,
        case
            when name in ('Read', 'NotebookRead', 'View', 'Bash', 'PowerShell')
                or regexp_matches(name, '^mcp__.*(read|cat|view|open|get)')
                then regexp_extract(
                    target,
                    '(?:^|[^A-Za-z0-9_.~/*$(){}-])('
                    || '(?:[A-Za-z0-9_.~*$(){}-]*/)*(?:'
                    -- Environments: .env, .env.local, prod.env
                    || '[A-Za-z0-9_-]*[.]env(?:[.][A-Za-z0-9_-]+)*'
                    || '|[.]envrc'
                    -- Private keys and key stores.
                    || '|id_(?:rsa|dsa|ecdsa|ed25519)'
                    || '|[A-Za-z0-9_-][A-Za-z0-9_.-]*[.](?:pem|p12|pfx|jks|keystore|ppk|kdbx)'
                    || '|[A-Za-z0-9_-]+[.]key'
                    -- Credentials of programs.
                    || '|[.]netrc|_netrc|[.]npmrc|[.]pypirc|[.]pgpass|[.]my[.]cnf|[.]git-credentials|[.]htpasswd'
                    || '|[.]vault-token|[.]credentials[.]json|[.]aws/credentials|[.]docker/config[.]json'
                    || '|[.]kube/config'
                    || '|credentials(?:[.](?:json|ya?ml|toml|ini|xml|csv))?'
                    || '|secrets?[.](?:json|ya?ml|toml|ini|env|txt)|terraform[.]tfvars'
                    || '|application_default_credentials[.]json'
                    || '|client_secret[A-Za-z0-9_.-]*[.]json|service[-_]account[A-Za-z0-9_.-]*[.]json'
                    || '))(?:$|[^A-Za-z0-9_./-])',
                    1
                )
        end as named_file
    from tool_calls
    -- A cheap look at what most targets do not hold.
    where contains(target, '.env') or contains(target, 'id_') or contains(target, '.p') or contains(target, '.j')
        or contains(target, '.k') or contains(target, 'netrc') or contains(target, '.npmrc') or contains(target, '.my.')
        or contains(target, '.git-') or contains(target, '.htp') or contains(target, '.vault')
        or contains(target, 'redential') or contains(target, '.docker') or contains(target, 'ecret')
        or contains(target, 'tfvars') or contains(target, 'account')
),

reads as (
    select *
    from named_files
    where named_file <> ''
        and not regexp_matches(
            lower(named_file),
            '([.]|-|_)(example|sample|template|tmpl|dist|defaults?|schema)([.]|$)|(^|/)(example|sample)'
        )
        -- A bare word is a file only where a path is asked for; in a command it is a word.
        and (
            name not in ('Bash', 'PowerShell')
            or regexp_matches(named_file, '[/.]')
        )
        -- `process.env` and `import.meta.env` in a command are code; `git add .env` or `rm .env` read nothing.
        and not (
            name in ('Bash', 'PowerShell')
            and (
                regexp_matches(named_file, '^(process|meta|import|os|Deno|Bun)[.]env')
                or not regexp_matches(
                    target,
                    '(^|[^a-z])(cat|bat|less|more|head|tail|grep|rg|awk|sed|cut|source|strings|xxd|od|base64'
                    || '|openssl|cp|scp|rsync|curl|export|set -a|jq|yq|python3?|node|ruby|perl|type|Get-Content|diff'
                    || '|wc|sort|ssh|docker)'
                    || '([^a-z]|$)|(^|[;&|] *)[.] '
                )
            )
        )
),

-- Forms of values, and for assignments the name that the value is given to. The value itself goes no further than here.
formed_inputs as (
    select
        tool_use_id,
        session_id,
        ts,
        case
            when regexp_matches(target, '-----BEGIN [A-Z ]*PRIVATE KEY') then 'private key'
            when regexp_matches(target, '(^|[^A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16}([^A-Za-z0-9]|$)')
                then 'AWS access key id'
            when regexp_matches(target, '(^|[^A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})')
                then 'GitHub token'
            when regexp_matches(target, '(^|[^A-Za-z0-9])(sk-[A-Za-z0-9_-]{16,}|[rs]k_(live|test)_[A-Za-z0-9]{16,})')
                then 'API key'
            when regexp_matches(target, '(^|[^A-Za-z0-9])(xox[abeprs]-[A-Za-z0-9-]{10,})') then 'Slack token'
            when regexp_matches(target, '(^|[^A-Za-z0-9])AIza[A-Za-z0-9_-]{30,}') then 'Google API key'
            when regexp_matches(target, '(^|[^A-Za-z0-9])(glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{30,})') then 'token'
            when regexp_matches(target, '(^|[^A-Za-z0-9])eyJ[A-Za-z0-9_-]{10,}[.]eyJ[A-Za-z0-9_-]{10,}') then 'JWT'
            when regexp_matches(target, '[a-z][a-z0-9+.-]*://[^ /:@"]+:[^ /:@"$<{*]{3,}@') then 'password in a URL'
            when regexp_matches(
                regexp_extract(target, '[Bb]earer ([A-Za-z0-9._~+/=-]{16,})', 1),
                '[0-9]'
            ) then 'bearer token'
            -- A value has a digit; placeholders and names of variables rarely do.
            when regexp_matches(
                regexp_extract(
                    target,
                    '(?i)[A-Z0-9_]*(?:API[_-]?KEY|ACCESS[_-]?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)'
                    || '[A-Z0-9_]*["'']? ?[=:] ?["'']?'
                    || '([A-Za-z0-9+/_.~=-]{16,})',
                    1
                ),
                '[0-9]'
            ) then 'assignment'
        end as form,
        regexp_extract(
            target,
            '(?i)([A-Z0-9_]*(?:API[_-]?KEY|ACCESS[_-]?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)[A-Z0-9_]*)'
            || '["'']? ?[=:] ?["'']?'
            || '[A-Za-z0-9+/_.~=-]{16,}',
            1
        ) as given_name
    from tool_calls
    where session_id in (select session_id from reads where is_done)
        -- A cheap look at what most targets do not hold.
        and (
            contains(target, 'PRIVATE KEY') or contains(target, 'AKIA') or contains(target, 'ASIA')
            or contains(target, 'gh') and contains(target, '_') or contains(target, 'sk-')
            or contains(target, 'k_live_') or contains(target, 'k_test_') or contains(target, 'xox')
            or contains(target, 'AIza') or contains(target, 'glpat-') or contains(target, 'npm_')
            or contains(target, 'eyJ')
            or (contains(target, '://') and contains(target, '@')) or contains(target, 'earer ')
            or contains(lower(target), 'key') or contains(lower(target), 'token') or contains(lower(target), 'secret')
            or contains(lower(target), 'passw') or contains(lower(target), 'credential')
        )
),

findings as (
    select
        tool_use_id,
        session_id,
        ts,
        is_done,
        0 as place,
        'read' as finding,
        regexp_replace(
            named_file,
            '(sk-|gh[pousr]_|github_pat_|AKIA|ASIA|xox[a-z]-|AIza|glpat-|npm_|eyJ)[A-Za-z0-9_-]{8,}'
            || '|[A-Za-z0-9+=_]{32,}',
            '***',
            'g'
        ) as what
    from reads
    union all
    select
        tool_use_id,
        session_id,
        ts,
        false as is_done,
        1 as place,
        'value-like-input' as finding,
        -- A name as long as a value might be one.
        form || case when length(given_name) between 1 and 40 then ' for ' || given_name else '' end as what
    from formed_inputs
    where form is not null
),

findings_so_far as (
    select
        findings.*,
        count(*) filter (finding = 'read' and is_done) over so_far as reads_before,
        last_value(case when finding = 'read' and is_done then what end ignore nulls) over so_far as last_read
    from findings
    window so_far as (
        partition by session_id
        order by ts, place, tool_use_id
        rows between unbounded preceding and current row
    )
)

select
    calls.ts,
    calls.session_id,
    calls.agent_id,
    findings_so_far.finding,
    findings_so_far.what,
    calls.name as tool,
    case
        when calls.denied then 'denied'
        when calls.is_error then 'error'
        when calls.result_ts is null then 'unanswered'
        else 'ok'
    end as outcome,
    case when findings_so_far.finding <> 'read' then findings_so_far.reads_before end as reads_before,
    case when findings_so_far.finding <> 'read' then findings_so_far.last_read end as last_read,
    requests.project,
    files.path,
    calls."offset"
from findings_so_far
inner join selected_tool_calls as calls on findings_so_far.tool_use_id = calls.tool_use_id
left join requests on calls.key = requests.key
left join files on calls.file_id = files.file_id
where (findings_so_far.finding = 'read' or findings_so_far.reads_before > 0)
    and ($finding = 'all' or findings_so_far.finding = $finding)
order by calls.ts, calls.session_id, calls.tool_use_id, findings_so_far.place
