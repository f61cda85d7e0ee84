"""SQL of the consent ledger: new events, their erasable evidence, and what must not be sent any more because of them.

The event itself holds ids, codes, times and a salted commitment; address, names and the submission's id stand in
`consent_evidence`, which can be erased without touching the ledger.
"""

from connectors.store.chain_sql import ADD_GROUP, COMMITMENT, EVENT_LINK, VOID_LINK
from connectors.store.made_ids_sql import day_of, in_group
from schemas.acts import DOUBLE_OPT_IN

# A flag that states a present value makes an event only when it differs from the last one seen for that record, in the
# store or earlier in the batch. At first sight its plain "no" is a default and no event. With a changed address a
# withdrawal is carried over, a grant is not. Its events are told apart by when they count as well: the form's own time
# is the same for every change of it. One from before the last one seen is late: it grants nothing, and withdraws from when it
# was stated on unless that source had the address withdrawn by then; what is in time is not compared with it.
_STATED_AT = "least(greatest(r.version_at, d.effective_at), r.received_at)"

# Whether a submission (of a row r) gave the grant e with the evidence v: by itself, or by the link that was mailed for it, whose
# events bear its `maker_id`.
_GAVE = f"""(e.source = r.source and v.submission_id = r.submission_id
    or e.source = '{DOUBLE_OPT_IN}' and v.submission_id = replace(r.maker_id::text, '-', ''))"""

# A box that is not ticked says nothing, unless an earlier version of the submission had it ticked, in the store or the batch.
COUNT_UNTICKED = f"""
with ticked as (
    select r.submission_id, g.purpose, coalesce(g.topic, '') as topic
    from {{decisions}} g join t_row r on r.row_no = g.row_no where g.value = 'grant'
), turned as (
    update {{decisions}} d set value = 'withdraw' from t_row r
    where r.row_no = d.row_no and d.value = 'unticked' and r.is_winner and (
        (r.submission_id, d.purpose, coalesce(d.topic, '')) in (select submission_id, purpose, topic from ticked)
        or exists (
            select from intake.consent_event e join intake.consent_evidence v using (event_key)
            where e.contact_point_id in (r.old_contact_point_id, r.moved_from_id) and {_GAVE} and e.purpose = d.purpose
              and e.topic = coalesce(d.topic, '') and e.value = 'grant'
              and not exists (select from intake.consent_void w where w.event_key = e.event_key)))
    returning d.row_no
)
update t_row r set withdraws = r.address_key is not null from turned t where t.row_no = r.row_no
"""

FORGET_UNTICKED = "delete from {decisions} where value = 'unticked'"

# An event's key begins with the day that it happened on.
NEW_EVENTS = f"""
create temporary table t_event as
with stated as (
    select d.*, r.source, r.batch_id, r.submission_id, r.contact_point_id, r.subject_id, r.address, r.given_name, r.family_name,
           r.said_key, r.given_key, r.received_at, r.is_winner, {_STATED_AT} as stated_at, v.value as known_value,
           v.contact_point_id as known_contact_point_id, coalesce(v.stated_at, '-infinity') as known_at
    from {{decisions}} d
    join t_row r on r.row_no = d.row_no
    left join intake.stated_value v
      on v.source = r.source and v.submission_id = r.submission_id and v.purpose = d.purpose
     and v.topic = coalesce(d.topic, '')
    where r.contact_point_id is not null and (r.is_usable or d.value <> 'grant')
), sequenced as (
    select s.*, null as last_value, null::uuid as last_contact_point_id from stated s where not s.states_current_value
    union all
    select s.*, coalesce(lag(s.value) over w, case when s.known_at <= s.stated_at then s.known_value end),
           coalesce(lag(s.contact_point_id) over w, case when s.known_at <= s.stated_at then s.known_contact_point_id end)
    from stated s where s.states_current_value and (s.known_at <= s.stated_at or s.value = 'withdraw' and not exists (
        select from intake.consent_event e
        where e.contact_point_id = s.contact_point_id and e.source = s.source and e.purpose = s.purpose
          and e.topic = coalesce(s.topic, '') and e.value = 'withdraw' and e.effective_at <= s.stated_at
          and not exists (select from intake.consent_void v where v.event_key = e.event_key)))
    window w as (partition by s.submission_id, s.purpose, s.topic, s.known_at <= s.stated_at
                 order by s.stated_at, s.row_no)
), keyed as (
    select s.*, {day_of("s.occurred_at")} || sha256(:ledger_key || convert_to(concat_ws('|', s.source, s.submission_id,
               s.said_key, s.given_key, s.purpose, coalesce(s.topic, ''), s.value, extract(epoch from s.occurred_at),
               case when s.states_current_value then extract(epoch from s.effective_at) end), 'UTF8')) as event_key,
           decode(replace(gen_random_uuid()::text, '-', ''), 'hex') as salt, null::bytea as base_key
    from sequenced s
    where s.value not in ('lifted', 'pending') and (not s.states_current_value or case
        when s.last_value is null then s.value = 'grant' or s.reason is distinct from 'refused'
        when s.last_value = s.value then s.value = 'withdraw' and s.last_contact_point_id <> s.contact_point_id
        else true end)
)
select distinct on (event_key) * from keyed order by event_key, effective_at, is_winner desc, row_no
"""

# Keys of before had no day in front: an event that is known by such a one keeps it.
KEEP_BARE_KEYS = """
update t_event t set event_key = e.event_key
from intake.consent_event e where octet_length(e.event_key) = 32 and e.event_key = substring(t.event_key from 5)
"""

# A record that withdraws under another address than before withdraws for the one that it had, too, and for whatever other one
# an earlier version of it has said yes to: one version may have brought the other address, and a later one the no. So does a
# yes that comes late, after the no of a later version: it is withdrawn by that.
_STANDS = """not exists (
    select from intake.consent_event x join intake.subject n using (subject_id)
    where x.contact_point_id = g.contact_point_id and x.purpose = g.purpose and x.value = 'withdraw'
      and x.topic in ('', {topic}) and x.effective_at >= g.effective_at
      and (n.subject_id = g.subject_id or n.given_key = '')
      and not exists (select from intake.consent_void v where v.event_key = x.event_key))"""
_WHOSE = "'address before|' || c.address_key || '|' || s.given_key"
_IN_STORE = """intake.consent_evidence v join intake.consent_event {0} on {0}.event_key = v.event_key
      and not exists (select from intake.consent_void d where d.event_key = {0}.event_key)"""

WITHDRAWN_AND_MOVED = f"""
create temporary table t_moved as
with lowering as (
    select e.event_key, e.source, e.submission_id, e.purpose, e.topic, e.contact_point_id, e.effective_at, r.is_newer,
           coalesce(r.version_at, '-infinity') as version_at, e.row_no
    from t_event e join t_row r using (row_no) where e.value = 'withdraw'
), last as (
    select w.event_key, p.contact_point_id, p.subject_id
    from lowering w join intake.submission p using (source, submission_id)
    join intake.contact_point c on c.contact_point_id = p.contact_point_id
    join intake.subject s on s.subject_id = p.subject_id
    where p.contact_point_id <> w.contact_point_id and not exists (
        select from intake.consent_event x where x.event_key = sha256(w.event_key || convert_to({_WHOSE}, 'UTF8')))
), earlier as (
    select w.event_key, w.topic as no_topic, g.contact_point_id, g.subject_id, g.purpose, g.topic, g.effective_at
    from lowering w join {_IN_STORE.format("g")}
      on v.submission_id = w.submission_id and (g.source, g.purpose, g.value) = (w.source, w.purpose, 'grant')
    where w.is_newer and g.contact_point_id <> w.contact_point_id and g.effective_at <= w.effective_at
    union all
    select w.event_key, w.topic, g.contact_point_id, g.subject_id, g.purpose, coalesce(g.topic, ''), g.effective_at
    from lowering w join t_event g
      on (g.source, g.submission_id, g.purpose, g.value) = (w.source, w.submission_id, w.purpose, 'grant')
    join t_row r on r.row_no = g.row_no
    where (coalesce(r.version_at, '-infinity'), r.row_no) < (w.version_at, w.row_no)
      and g.contact_point_id <> w.contact_point_id and g.effective_at <= w.effective_at
), others as (
    select distinct g.event_key, g.contact_point_id, g.subject_id, null::bytea as no_key from earlier g
    where (g.no_topic is null or g.topic in ('', g.no_topic)) and {_STANDS.format(topic="coalesce(g.no_topic, g.topic)")}
      and (g.event_key, g.contact_point_id, g.subject_id) not in (
          select event_key, contact_point_id, subject_id from last)
), late as (
    select distinct on (g.event_key, w.topic) g.event_key, g.contact_point_id, g.subject_id, w.event_key as no_key
    from t_event g join t_row r on r.row_no = g.row_no and not r.is_newer
    join {_IN_STORE.format("w")}
      on v.submission_id = g.submission_id and (w.source, w.purpose, w.value) = (g.source, g.purpose, 'withdraw')
    where g.value = 'grant' and w.contact_point_id <> g.contact_point_id and w.effective_at >= g.effective_at
      and (g.topic is null or w.topic in ('', g.topic)) and {_STANDS.format(topic="w.topic")}
    order by g.event_key, w.topic, w.effective_at, w.event_key
)
select e.*, o.contact_point_id as old_contact_point_id, o.subject_id as old_subject_id, c.address as old_address,
       o.whose, o.no_key
from (
    select *, null as no_key, 'address before' as whose from last
    union all
    select g.*, {_WHOSE}
    from (select * from others union all select * from late) g
    join intake.contact_point c using (contact_point_id) join intake.subject s using (subject_id)
) o
join t_event e using (event_key) join intake.contact_point c on c.contact_point_id = o.contact_point_id
"""

TURN_TO_OLD_ADDRESS = """
update t_moved set event_key = sha256(coalesce(no_key, event_key) || convert_to(whose, 'UTF8')),
    salt = decode(replace(gen_random_uuid()::text, '-', ''), 'hex'),
    contact_point_id = old_contact_point_id, subject_id = old_subject_id, address = old_address
"""

TURN_LATE = """
update t_moved t set value = w.value, topic = nullif(w.topic, ''), actor = w.actor, clock = w.clock,
    occurred_at = w.occurred_at, precision_s = w.precision_s, effective_at = w.effective_at, received_at = w.received_at,
    reason = w.reason, wording_hash = null, notice_version = null
from intake.consent_event w where w.event_key = t.no_key
"""

FORGET_WHERE_FROM = """
alter table t_moved drop column old_contact_point_id, drop column old_subject_id, drop column old_address,
    drop column whose, drop column no_key
"""

ADD_MOVED = "insert into t_event select * from t_moved"

# The same mapping does not bring back what was undone; only a withdrawal, from another batch.
DROP_STILL_VOID = """
delete from t_event t using intake.consent_void v, intake.undone_reading u, intake.reading g
where v.base_key = t.event_key and u.reading_id = v.reading_id and g.reading_id = v.reading_id and g.mapping_hash = :mapping_hash
  and (t.value = 'grant' or t.batch_id = v.batch_id)
"""

# What is read again after it was voided is another event; the same one however often it is read again from now on.
STAND_AGAIN = """
update t_event t set base_key = t.event_key,
    event_key = sha256(t.event_key || convert_to('read again ' || v.times, 'UTF8'))
from (select base_key, count(*) as times from intake.consent_void
      where base_key in (select event_key from t_event) group by base_key) v
where v.base_key = t.event_key
"""

DROP_KNOWN_EVENTS = """
delete from t_event t using intake.consent_event e where e.event_key = t.event_key
"""

# An answer that was a yes in an earlier version of the submission, in the store or in the batch, and of which no change is told
# since, turned into a no some time until it was received. A change is told where the no may be later than all that the yes may
# be; or, where the form's time is as coarse as a date, where the row itself is newer than that version, and no newer than the no.
# That a link was followed says when that was, and of the yes on the form only that it was before.
_DATE_TURNED_ANSWERS = """
update t_event t set effective_at = t.received_at,
    precision_s = round(extract(epoch from t.received_at - t.occurred_at))
from t_row r
where r.row_no = t.row_no and r.is_winner
  and t.value = 'withdraw' and not t.states_current_value and t.effective_at < t.received_at
  and exists (
    select from {version_that_said} e
    where e.purpose = t.purpose and (t.topic is null or e.topic = t.topic) and {is_earlier_version}
      and {said_until} >= t.occurred_at + make_interval(secs => t.precision_s)
      and not coalesce(r.version_at > {version_at} and r.version_at <= t.effective_at, false))
"""
_IS_OF_THE_ADDRESS = "e.contact_point_id in (t.contact_point_id, r.moved_from_id) and e.value = 'grant'"
_UNTIL = "e.occurred_at + make_interval(secs => e.precision_s)"

DATE_TURNED_ANSWERS = _DATE_TURNED_ANSWERS.format(
    version_that_said="intake.consent_evidence v cross join intake.consent_event",
    is_earlier_version=f"""{_IS_OF_THE_ADDRESS} and v.event_key = e.event_key and {_GAVE}
      and not exists (select from intake.consent_void w where w.event_key = e.event_key)""",
    said_until=f"greatest({_UNTIL}, case when e.source = '{DOUBLE_OPT_IN}' then r.submitted_to end)",
    version_at="""(
        select p.version_at from intake.submission p where p.source = r.source and p.submission_id = r.submission_id)""",
)

DATE_TURNED_TOGETHER = _DATE_TURNED_ANSWERS.format(
    version_that_said="t_row y cross join t_event",
    is_earlier_version=f"""{_IS_OF_THE_ADDRESS} and e.source = t.source
      and y.row_no = e.row_no and y.row_no <> t.row_no and e.submission_id = t.submission_id""",
    said_until=_UNTIL,
    version_at="y.version_at",
)

# A yes that waited for its link, or was confirmed by it, was one on the form all the same (pending_sql.FIND_ASKED).
DATE_TURNED_ASKED = _DATE_TURNED_ANSWERS.format(
    version_that_said="t_asked", is_earlier_version="e.row_no = r.row_no", said_until=_UNTIL, version_at="e.version_at"
)

# What they agreed to before they moved on their page does not go along: newsletters are chosen anew.
LEAVE_GRANTS = """
delete from t_event e using intake.moved_submission m
where m.source = e.source and m.submission_id = e.submission_id and m.to_id = e.contact_point_id
  and e.value = 'grant' and e.effective_at <= m.moved_at
"""

_EVENT_COLUMNS = """event_id, event_key, subject_id, contact_point_id, purpose, topic, value, actor, clock, occurred_at,
    precision_s, effective_at, received_at, reason, source, batch_id, commitment, recorded_at, reading_id, base_key,
    group_id, nth"""

_ADD_EVENTS = f"""
with numbered as (
    select *, cast(row_number() over (order by event_key) as integer) as nth from t_event
), made as (
    select {in_group("nth")} as event_id,
           event_key, subject_id, contact_point_id, purpose,
           coalesce(topic, '') as topic, value, actor, clock, occurred_at, cast(precision_s as integer) as precision_s,
           effective_at, received_at, reason, source, batch_id, {COMMITMENT} as commitment, now() as recorded_at,
           {{reading_id}} as reading_id, base_key, cast(:group_id as uuid) as group_id, nth
    from numbered
), added as (
    insert into intake.consent_event ({_EVENT_COLUMNS}, link)
    select {_EVENT_COLUMNS}, {EVENT_LINK} from made order by nth
    on conflict (event_key) do nothing
    returning group_id, nth, link
)
{ADD_GROUP.format(kind="event")}
"""

ADD_EVENTS = _ADD_EVENTS.format(reading_id="cast(:reading_id as uuid)")
# Those of several readings, each of its own.
ADD_EVENTS_OF_READINGS = _ADD_EVENTS.format(reading_id="reading_id")

ADD_EVIDENCE = """
insert into intake.consent_evidence (
    event_key, salt, submission_id, address, given_name, family_name, wording_hash, notice_version, channel,
    collected_by, method)
select event_key, salt, submission_id, address, given_name, family_name, wording_hash, notice_version, channel,
       collected_by, method
from t_event
on conflict (event_key) do nothing
"""

REMEMBER_STATED_VALUES = f"""
insert into intake.stated_value as old (
    source, submission_id, purpose, topic, contact_point_id, value, stated_at, reading_id)
select distinct on (r.submission_id, d.purpose, coalesce(d.topic, ''))
       :source, r.submission_id, d.purpose, coalesce(d.topic, ''), r.contact_point_id, d.value, {_STATED_AT}, :reading_id
from {{decisions}} d join t_row r on r.row_no = d.row_no
where d.states_current_value and r.contact_point_id is not null and (r.is_usable or d.value <> 'grant')
order by r.submission_id, d.purpose, coalesce(d.topic, ''), {_STATED_AT} desc, d.row_no desc
on conflict (source, submission_id, purpose, topic) do update set
    contact_point_id = excluded.contact_point_id, value = excluded.value, stated_at = excluded.stated_at,
    reading_id = case when (old.value, old.contact_point_id) = (excluded.value, excluded.contact_point_id)
                      then old.reading_id else excluded.reading_id end
where excluded.stated_at >= old.stated_at
"""


def add_voids(table: str) -> str:
    """The events of a temporary table count for nothing any more; its columns but `link` are those of consent_void."""
    return f"""
with added as (
    insert into intake.consent_void (
        event_key, base_key, reading_id, batch_id, undo_run_id, voided_at, group_id, nth, link)
    select event_key, base_key, reading_id, batch_id, undo_run_id, voided_at, group_id, nth, {VOID_LINK}
    from {table} order by nth
    returning group_id, nth, link
)
{ADD_GROUP.format(kind="void")}
"""


def dirty_by(table: str) -> str:
    """The addresses of a temporary table are touched by the batch, too."""
    return f"""
insert into t_dirty
select distinct e.contact_point_id from {table} e
where not exists (select from t_dirty d where d.contact_point_id = e.contact_point_id)
"""


def supersede_raising(addresses: str) -> str:
    """What waits to be raised at some addresses (a query) is not sent."""
    return f"""
update intake.outbox_intent set state = 'superseded', finished_at = now()
where state in ('pending', 'waiting') and is_raising and contact_point_id in ({addresses})
"""


DIRTY_BY_EVENT = dirty_by("t_event")
SUPERSEDE_RAISING = supersede_raising("select contact_point_id from t_event where value = 'withdraw'")

ADD_WORDINGS = """
insert into intake.consent_wording (wording_hash, text, language, version)
values (:wording_hash, :text, :language, :version) on conflict (wording_hash) do nothing
"""
