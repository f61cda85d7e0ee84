"""The link that each contact of the CRM carries to the preference page: made once, and kept while its key is in the ring."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from pipelines.operations.workspace import Workspace
from pipelines.transforms.minimise import AddressView, PersonView, RowKey
from pipelines.transforms.preference_links import (
    LinkKey,
    Scope,
    keys_by_mark,
    page_link,
    sign_token,
    token_in,
    withdraws_for,
)
from schemas.tables import CONTACT


@dataclass(frozen=True)
class LinkMaker:
    """Makes the link of a contact point, or keeps the one that is there and good; one that `only_keeps` makes none."""

    base_url: str
    key: LinkKey
    known: Mapping[bytes, LinkKey] = field(repr=False)
    only_keeps: bool = False

    def kept(self, contact_point_id: UUID, held: str | None) -> str | None:
        """The link that a contact has, where it is good."""
        if held is None or not held.startswith(f"{self.base_url}/"):
            return None
        return held if withdraws_for(token_in(held), self.known) == contact_point_id else None

    def link(self, contact_point_id: UUID, held: str | None = None) -> str:
        """The address of the page for a contact point; `held` is the one that its contact has."""
        kept = self.kept(contact_point_id, held)
        if kept is not None:
            return kept
        return page_link(self.base_url, sign_token(Scope.WITHDRAW, contact_point_id, self.key))

    def linked(
        self, view: AddressView, acknowledged: Mapping[RowKey, Mapping[str, Any]], column: str
    ) -> tuple[PersonView, ...]:
        """The persons of an address, each with the link of their contact."""
        return tuple(self._linked(person, view, acknowledged, column) for person in view.persons)

    def _linked(
        self, person: PersonView, view: AddressView, acknowledged: Mapping[RowKey, Mapping[str, Any]], column: str
    ) -> PersonView:
        held = acknowledged.get((CONTACT.logical_name, person.contact_id), {}).get(column)
        make = self.kept if self.only_keeps else self.link
        return replace(person, preference_link=make(view.contact_point_id, held))


def link_maker(workspace: Workspace) -> LinkMaker | None:
    """The maker that the policy asks for; None where it names no column or no page."""
    crm = workspace.policy.crm
    page = workspace.settings.preferences_url or crm.preference_page
    if crm.preference_link_column is None or not page:
        return None
    current = workspace.keys.current("link")
    keys = [LinkKey(key.key_id, key.secret) for key in workspace.keys.all_keys("link")]
    return LinkMaker(page.rstrip("/"), LinkKey(current.key_id, current.secret), keys_by_mark(keys))
