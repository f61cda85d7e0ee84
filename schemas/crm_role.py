"""The security role of the application user: what it may do in the CRM, and nothing else (config/crm_role.yaml)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Access = Literal["Create", "Read", "Write", "Delete", "Append", "AppendTo"]


class CrmRole(BaseModel):
    """A role: by the noun of a table's privileges (its schema name, but `User`) what may be done with its rows.

    All of it at organisation level. `others` are privileges by name that are about no table, `tolerated` those that a
    role is given unasked and that do no harm. `lists` are of `tables` where the policy names marketing lists, `bypass` of
    `others` where the settings pass the CRM's own logic by.
    https://learn.microsoft.com/power-platform/admin/security-roles-privileges
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    tables: dict[str, tuple[Access, ...]]
    others: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()
    lists: dict[str, tuple[Access, ...]] = {}
    bypass: tuple[str, ...] = ()

    def with_lists(self) -> "CrmRole":
        """The role of a user who keeps marketing lists, too."""
        return self.model_copy(update={"tables": {**self.tables, **self.lists}})

    def with_bypass(self) -> "CrmRole":
        """The role of a user whose writes pass custom logic by, too."""
        return self.model_copy(update={"others": (*self.others, *self.bypass)})

    def privilege_names(self) -> list[str]:
        """`prvReadContact` and so on, in the order of the file."""
        of_tables = [f"prv{access}{table}" for table, accesses in self.tables.items() for access in accesses]
        return [*of_tables, *self.others]
