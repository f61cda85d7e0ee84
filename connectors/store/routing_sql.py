"""SQL of whom a data subject's request is routed to: the organiser of what was last registered for at the address."""


def organiser_of(contact_point: str) -> str:
    """A lateral join that gives `organiser_unit` and `organiser_contact` as `r`, null where nobody organised anything."""
    return f"""
left join lateral (
    select o.organiser_unit, o.organiser_contact from intake.registration g join intake.occasion o using (occasion_pk)
    where g.contact_point_id = {contact_point} and coalesce(o.organiser_unit, o.organiser_contact) is not null
    order by g.registered_at desc limit 1) r on true
"""
