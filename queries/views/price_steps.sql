-- One row: where on some logged model another price begins to hold
--
-- step_1_tokens: the least context from which on one does; 1,000,000,000, beyond any request, where none does
select coalesce(min(from_tokens), 1000000000) as step_1_tokens
from price_rates
where from_tokens > 0
