"""Who is at work: a run holds an advisory lock of this kind, whose second half is its number, while it lives."""

KIND = 4072005

# Asked anew for each row, also when a row is looked at again because somebody else has just changed it.
AT_WORK = f"""
create or replace function at_work(number integer) returns boolean language plpgsql volatile as $$
begin
  return exists (
    select from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.locktype = 'advisory' and l.granted
      and l.classid = {KIND} and l.objid = number::oid and l.objsubid = 2);
end $$
"""
