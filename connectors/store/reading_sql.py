"""SQL of readings: which merge brought what, and what it overwrote, so that it can be undone.

A reading is one merge of some batches of a feed, or of some rows of one, by one mapping. Rows and events carry its id.
"""

ADD_READING = """
insert into intake.reading (reading_id, run_id, source, feed, mapping_hash, batch_ids, read_at, row_nos)
select :reading_id, :run_id, :source, :feed, :mapping_hash, :batch_ids, :now,
       case when :is_part then (select array_agg(cast(batch_row_no as integer) order by batch_row_no) from {submissions}) end
"""

# The answers go with their submission: they have no life of their own.
KEEP_SUBMISSIONS = """
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select distinct on (p.submission_id) :reading_id, 'submission', p.source, p.submission_id, p.contact_point_id,
       jsonb_build_array(to_jsonb(p) || jsonb_build_object('answers', (
           select coalesce(jsonb_agg(to_jsonb(a)), '[]') from intake.answer a
           where a.source = p.source and a.submission_id = p.submission_id))), :now
from t_row r join intake.submission p on p.source = r.source and p.submission_id = r.submission_id
where (r.class = 'changed' and r.is_winner and (r.is_usable or r.is_set_aside)) or (p.subject_id is null and r.has_ground)
order by p.submission_id
"""

KEEP_REGISTRATIONS = """
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select :reading_id, 'registration', g.source, g.submission_id, g.contact_point_id, jsonb_build_array(to_jsonb(g)), :now
from t_row r join intake.registration g on g.source = r.source and g.submission_id = r.submission_id
where r.is_winner and (r.class <> 'unchanged' or g.status <> r.registration_status)
"""

KEEP_STATED_VALUES = """
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select :reading_id, 'stated_value', v.source, v.submission_id, min(v.contact_point_id::text)::uuid,
       jsonb_agg(to_jsonb(v)), :now
from intake.stated_value v
where v.source = :source and v.submission_id in (
    select r.submission_id from t_row r join {decisions} d on d.row_no = r.row_no
    join intake.stated_value k
      on k.source = r.source and k.submission_id = r.submission_id and k.purpose = d.purpose
     and k.topic = coalesce(d.topic, '')
    where d.states_current_value and (k.value, k.contact_point_id) is distinct from (d.value, r.contact_point_id))
group by v.source, v.submission_id
"""

PURGE_IMAGES = "delete from intake.row_image where kept_at < :before"
