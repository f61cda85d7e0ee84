"""SQL of which addresses the CRM may be behind of.

`intake.dirty_address` has those whose version is past the one that the CRM acknowledged. Triggers of contact_point keep it
(migration 0051): an index over the two versions would make each change of them an entry in all of the address's indexes.
"""

DIRTY = "select contact_point_id from intake.dirty_address"

# The dirty ones, and those of which a purpose has ended; one can be among them twice.
DUE = f"""
{DIRTY}
union all select contact_point_id from intake.contact_point where next_end_at <= :now
"""
