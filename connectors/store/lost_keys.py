"""Keys that the ring lost: one under which the store's rows were made is put back, and never made anew in silence."""

from sqlalchemy import Engine, text

from connectors.store.keys import UNROTATABLE
from schemas.errors import ConfigurationError

# Read by every role, and by none by the rows of persons that it is shown: the door's role sees nobody's.
_MADE_UNDER = {
    "ledger": "select exists (select from intake.consent_event)",
    "guid_salt": "select exists (select from intake.occasion)"
    " or exists (select from intake.consent_event where subject_id is not null)"
    " or exists (select from intake.person)",
}


def refuse_lost(engine: Engine, name: str) -> None:
    """ConfigurationError where the store holds what was made under a key of this name, which the ring does not have."""
    statement = _MADE_UNDER.get(name)
    if statement is None:
        return
    with engine.connect() as conn:
        is_lost = bool(conn.execute(text(statement)).scalar())
    if is_lost:
        raise ConfigurationError(
            f"The key ring has no {name} key, and the store holds what was made under one. {UNROTATABLE[name]} Put back"
            f" {name}-0001.key from the backup of the keys (docs/keys.md), then run again."
        )
