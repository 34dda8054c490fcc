"""How many requests are let through: a generic cell rate algorithm (ITU-T I.371), one row a subject."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from kowai.errors import KowaiError

WINDOW_SECONDS = 60

# Returns what is left of the window once this request is counted; below zero it is refused, not counted, and has to
# wait that long. A subject may use its whole minute at once; from then on requests come back at its rate.
TAKE_REQUEST = """
create or replace function take_request(of_tenant uuid, of_subject uuid, per_minute integer)
returns interval language plpgsql as $$
declare
  share interval := interval '1 minute' / per_minute;
  moment timestamptz := clock_timestamp();
  horizon timestamptz := moment + interval '1 minute';
  busy timestamptz;
begin
  insert into request_rate as r (tenant_id, subject, busy_until)
  values (of_tenant, of_subject, moment + share)
  on conflict (tenant_id, subject) do update set busy_until = greatest(r.busy_until, moment) + share
    where greatest(r.busy_until, moment) + share <= horizon
  returning busy_until into busy;
  if found then
    return greatest(horizon - busy, interval '0');
  end if;
  select r.busy_until into busy from request_rate r where r.tenant_id = of_tenant and r.subject = of_subject;
  return least(horizon - busy - share, interval '-1 millisecond');
end $$
"""
# The same for several subjects, in Redis (Lua): returns microseconds, and ends with the first that is refused.
TAKE_REQUESTS = """
local clock = redis.call('TIME')
local moment = clock[1] * 1000000 + clock[2]
local spares = {}
for place, key in ipairs(KEYS) do
  local share = math.floor(60000000 / tonumber(ARGV[place]))
  local busy = math.max(tonumber(redis.call('GET', key) or moment), moment) + share
  local spare = moment + 60000000 - busy
  if spare < 0 then
    spares[place] = math.min(spare, -1000)
    break
  end
  redis.call('SET', key, string.format('%.0f', busy), 'PX', math.ceil((busy - moment) / 1000))
  spares[place] = spare
end
return spares
"""


class Quota(NamedTuple):
    """Hold what one subject had left after this request: `spare` of its minute, below zero when it must wait."""

    name: str
    per_minute: int
    spare: timedelta

    @property
    def remaining(self) -> int:
        seconds = max(self.spare.total_seconds(), 0)
        return math.floor(seconds * self.per_minute / WINDOW_SECONDS + 1e-6)

    @property
    def full_in(self) -> int:
        """Return in how many seconds the whole quota is back."""
        return math.ceil(WINDOW_SECONDS - max(self.spare.total_seconds(), 0))


class LimitReached(KowaiError):
    """Say that a limit is used up and in how many seconds it is worth asking again."""

    code, http_status = "rate_limited", 429

    def __init__(self, sentence: str, *, operator: str | None = None, retry_after: int = 1) -> None:
        super().__init__(sentence, operator=operator)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return *super().__reduce__(), {"retry_after": self.retry_after}


class StreamsExhausted(LimitReached):
    code = "too_many_streams"


class TokensExhausted(LimitReached):
    code = "tokens_exhausted"


def check(quotas: Sequence[Quota]) -> None:
    """Let a request pass that every quota had room for. Raises LimitReached."""
    for quota in quotas:
        if quota.spare < timedelta(0):
            wait = math.ceil(-quota.spare.total_seconds())
            raise LimitReached(
                f"This {quota.name} may send {quota.per_minute:,} requests a minute: try again in {wait} s.",
                retry_after=wait,
            )


def headers(quotas: Sequence[Quota]) -> dict[str, str]:
    """Return RateLimit-Policy and RateLimit as structured fields (draft-ietf-httpapi-ratelimit-headers-10)."""
    policies = ", ".join(f'"{quota.name}";q={quota.per_minute};w={WINDOW_SECONDS}' for quota in quotas)
    states = ", ".join(f'"{quota.name}";r={quota.remaining};t={quota.full_in}' for quota in quotas)
    return {"RateLimit-Policy": policies, "RateLimit": states}
