"""SQL of the consent fold: the set-based twin of schemas.consent, over the contact points of `t_dirty`.

t_latest  the latest grant and withdrawal per address, group, purpose, topic and clock: all the state there is
t_fold    one row per address, group, purpose, topic and kind of fold, with whether it is granted
t_person_state, t_address_state  the states that follow, of each person at each address and of each address

A voided event counts for nothing.
A group is a person, or a subject that is no person of its own (a withdrawal from an address nobody was known at).
A nameless withdrawal counts for every group with an event for its purpose, and is a group itself only without any.
Kinds: 'wide' purpose-wide; 'base' purpose-wide withdrawals with purpose-wide grants and those naming the topic;
'naming' the events naming the topic alone.
"""

from connectors.store.difference_sql import keep_equal

# Two transactions that add events to one address must not both fold without the other's: the second waits here, and
# then sees what the first committed. In the order of ids, and after intents were superseded, as claiming locks them.
TAKE_TURNS = """
select count(*) from (
    select from intake.contact_point c where c.contact_point_id in (select contact_point_id from t_dirty)
    order by c.contact_point_id for no key update of c) taken
"""

LATEST = """
create temporary table t_latest as
with told as (
    select e.contact_point_id, coalesce(s.person_id, s.subject_id) as grp,
           s.given_key = '' and not exists (
               select from intake.subject n
               where n.contact_point_id = e.contact_point_id and n.given_key <> '' and n.person_id = s.person_id
           ) as is_nameless,
           e.purpose, e.topic, e.clock, e.value, e.effective_at
    from intake.consent_event e join intake.subject s on s.subject_id = e.subject_id
    where e.contact_point_id in (select contact_point_id from t_dirty)
      and not exists (select from intake.consent_void v where v.event_key = e.event_key)
), spread as (
    select contact_point_id, grp, purpose, topic, clock, value, effective_at from told where not is_nameless
    union all
    select contact_point_id, grp, purpose, topic, clock, value, effective_at
    from told n
    where n.is_nameless
      and (exists (select from told g where (g.contact_point_id, g.purpose, g.grp) = (n.contact_point_id, n.purpose, n.grp)
                   and g.value = 'grant')
           or not exists (select from told o where (o.contact_point_id, o.purpose) = (n.contact_point_id, n.purpose)
                          and not o.is_nameless))
    union all
    select n.contact_point_id, g.grp, n.purpose, n.topic, n.clock, n.value, n.effective_at
    from told n
    join (select distinct contact_point_id, grp, purpose from told where not is_nameless) g
      on g.contact_point_id = n.contact_point_id and g.purpose = n.purpose
    where n.is_nameless and n.value = 'withdraw'
)
select contact_point_id, grp, purpose, topic, clock,
       max(effective_at) filter (where value = 'grant') as granted_at,
       max(effective_at) filter (where value = 'withdraw') as withdrawn_at
from spread group by contact_point_id, grp, purpose, topic, clock
"""

FOLD = """
create temporary table t_fold as
with named as (
    select distinct contact_point_id, grp, purpose, topic from t_latest where topic <> ''
), input as (
    select contact_point_id, grp, purpose, '' as topic, 'wide' as kind, clock, granted_at, withdrawn_at
    from t_latest where topic = ''
    union all
    select n.contact_point_id, n.grp, n.purpose, n.topic, 'base', l.clock, max(l.granted_at),
           max(l.withdrawn_at) filter (where l.topic = '')
    from named n join t_latest l
      on l.contact_point_id = n.contact_point_id and l.grp = n.grp and l.purpose = n.purpose
     and l.topic in ('', n.topic)
    group by n.contact_point_id, n.grp, n.purpose, n.topic, l.clock
    union all
    select contact_point_id, grp, purpose, topic, 'naming', clock, granted_at, withdrawn_at
    from t_latest where topic <> ''
), compared as (
    select *, case when row_number() over by_withdrawal = 1 then lead(withdrawn_at) over by_withdrawal
                   else first_value(withdrawn_at) over by_withdrawal end as others_withdrawn_at
    from input
    window by_withdrawal as (
        partition by contact_point_id, grp, purpose, topic, kind order by withdrawn_at desc nulls last, clock)
)
select contact_point_id, grp, purpose, topic, kind,
       bool_or(granted_at is not null
           and granted_at > coalesce(withdrawn_at, '-infinity')
           and (others_withdrawn_at is null or granted_at > others_withdrawn_at + make_interval(secs => :window_s)))
           as is_granted,
       max(granted_at) as granted_at
from compared group by contact_point_id, grp, purpose, topic, kind
"""

# A topic that no event names follows the purpose-wide fold; topics of the policy come in as two parallel arrays.
PERSON_STATES = """
create temporary table t_person_state as
with grps as (
    select distinct contact_point_id, grp, purpose from t_latest
), topics as (
    select * from unnest(cast(:purposes as text[]), cast(:topics as text[])) as t (purpose, topic)
), topical as (
    select g.contact_point_id, g.grp, g.purpose, t.topic,
           case when n.contact_point_id is null then coalesce(w.is_granted, false)
                else b.is_granted and n.is_granted end as is_on,
           n.contact_point_id is not null or w.contact_point_id is not null as bears,
           greatest(w.granted_at, n.granted_at) as granted_at
    from grps g join topics t using (purpose)
    left join t_fold w on w.kind = 'wide' and (w.contact_point_id, w.grp, w.purpose)
         = (g.contact_point_id, g.grp, g.purpose)
    left join t_fold b on b.kind = 'base' and (b.contact_point_id, b.grp, b.purpose, b.topic)
         = (g.contact_point_id, g.grp, g.purpose, t.topic)
    left join t_fold n on n.kind = 'naming' and (n.contact_point_id, n.grp, n.purpose, n.topic)
         = (g.contact_point_id, g.grp, g.purpose, t.topic)
), whole as (
    select g.contact_point_id, g.grp, g.purpose,
           coalesce(w.is_granted, false) or coalesce(bool_or(t.is_on), false) as is_on,
           greatest(max(w.granted_at), max(t.granted_at)) as granted_at
    from grps g
    left join t_fold w on w.kind = 'wide' and (w.contact_point_id, w.grp, w.purpose)
         = (g.contact_point_id, g.grp, g.purpose)
    left join topical t on (t.contact_point_id, t.grp, t.purpose) = (g.contact_point_id, g.grp, g.purpose)
    group by g.contact_point_id, g.grp, g.purpose, w.is_granted
)
select contact_point_id, grp as person_id, purpose, '' as topic,
       case when is_on then 'granted' else 'withdrawn' end as state, case when is_on then granted_at end as granted_at
from whole
union all
select contact_point_id, grp, purpose, topic, case when is_on then 'granted' else 'withdrawn' end,
       case when is_on then granted_at end from topical where bears
"""

KEEP_PERSON_STATES = keep_equal(
    "intake.person_consent",
    "t_person_state",
    key="contact_point_id, person_id, purpose, topic",
    values="state, granted_at",
)

ADDRESS_STATES = """
create temporary table t_address_state as
with whole as (
    select contact_point_id, purpose, bool_and(state = 'granted') as is_on
    from t_person_state
    where topic = ''
    group by contact_point_id, purpose
), topics as (
    select * from unnest(cast(:purposes as text[]), cast(:topics as text[])) as t (purpose, topic)
), topical as (
    select w.contact_point_id, w.purpose, t.topic,
           w.is_on and coalesce(bool_and(p.state = 'granted'), false) as is_on
    from whole w join topics t using (purpose)
    left join t_person_state p
      on p.contact_point_id = w.contact_point_id and p.purpose = w.purpose and p.topic = t.topic
    group by w.contact_point_id, w.purpose, t.topic, w.is_on
)
select contact_point_id, purpose, '' as topic, case when is_on then 'granted' else 'withdrawn' end as state from whole
union all
select contact_point_id, purpose, topic, case when is_on then 'granted' else 'withdrawn' end from topical
"""

KEEP_ADDRESS_STATES = keep_equal(
    "intake.consent_state", "t_address_state", key="contact_point_id, purpose, topic", values="state"
)
