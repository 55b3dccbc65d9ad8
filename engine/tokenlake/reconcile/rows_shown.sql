-- The rows behind the rules whose names hold a text.
select
    rule,
    file,
    line,
    key,
    day,
    model,
    requests,
    whole(input_tokens) as input_tokens,
    whole(output_tokens) as output_tokens,
    whole(cache_write_tokens) as cache_write_tokens,
    whole(cache_read_tokens) as cache_read_tokens,
    dollars(cost_pico) as cost
from differences
where contains(lower(rule), lower($rule))
order by rule, file, line, key, day, model
