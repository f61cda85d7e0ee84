"""The refusals of the Web API: status, hex code, message, as one exception and a constructor for each that is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Refused(Exception):
    """A request that the server answers with an error body; the transaction around it rolls back."""

    def __init__(self, status: int, code: str, message: str, **annotations: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.annotations = annotations

    def body(self, annotated: bool = False) -> dict[str, Any]:
        """The error object; the long annotations only when the request asked for annotations."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if annotated:
            prefix = "@Microsoft.PowerApps.CDS."
            error[f"{prefix}ErrorDetails.OperationStatus"] = "0"
            error[f"{prefix}HelpLink"] = f"http://go.microsoft.com/fwlink/?LinkID=398563&error={self.code}"
            error[f"{prefix}TraceText"] = self.message
            error[f"{prefix}InnerError.Message"] = self.message
            error.update({f"{prefix}ErrorDetails.{name}": text for name, text in self.annotations.items()})
        return {"error": error}


def missing_row(logical: str, row_id: str) -> Refused:
    return Refused(404, "0x80040217", f"Entity '{logical}' With Id = {row_id} Does Not Exist")


def unknown_segment(segment: str) -> Refused:
    return Refused(404, "0x8006088a", f"Resource not found for the segment '{segment}'.")


def unknown_resource() -> Refused:
    return Refused(404, "", "No HTTP resource was found that matches the request URI.")


def unknown_property(logical: str, name: str) -> Refused:
    return Refused(400, "0x0", f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{logical}'.")


def payload_error(message: str) -> Refused:
    return Refused(400, "0x80048d19", f"Error identified in Payload provided by the user: {message}")


def undeclared_bind(logical: str, name: str) -> Refused:
    return payload_error(
        f"An undeclared property '{name}' which only has property annotations in the payload but no property value "
        f"was found in the payload for type 'Microsoft.Dynamics.CRM.{logical}'."
    )


def wrong_literal(literal: Any, expected: str) -> Refused:
    return payload_error(f"Cannot convert the literal '{literal}' to the expected type '{expected}'.")


def too_long(logical: str, name: str, limit: int) -> Refused:
    return Refused(
        400,
        "0x80044331",
        f"A validation error occurred. The length of the '{name}' attribute of the '{logical}' entity "
        f"exceeded the maximum allowed length of '{limit}'.",
    )


def outside_options(logical: str, name: str, value: Any, accepted: Iterable[int]) -> Refused:
    listed = ",".join(str(option) for option in accepted)
    return Refused(
        400,
        "0x8004431a",
        f"A validation error occurred. The value {value} of '{name}' on record of type '{logical}' "
        f"is outside the valid range. Accepted Values: {listed}",
    )


def wrong_status(logical: str, status: Any, state: Any) -> Refused:
    return Refused(400, "0x80048408", f"{status} is not a valid status code for state code {state} on {logical}.")


def missing_column(logical: str, name: str) -> Refused:
    return Refused(400, "0x80040203", f"Required field '{name}' is missing for entity '{logical}'.")


def duplicate_row() -> Refused:
    return Refused(412, "0x80040237", "A record with matching key values already exists.")


def key_violated(display_name: str, values: dict[str, Any]) -> Refused:
    """An alternate key's values are taken; the values themselves only in the annotation, as the server has it."""
    columns = ", ".join(values)
    pairs = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return Refused(
        412,
        "0x80060892",
        f"Entity Key {display_name} violated. A record with the same value for {columns} already exists. "
        "A duplicate record cannot be created. Select one or more unique values and try again.",
        DuplicateAttributes=f"<DuplicateAttributes>{pairs}</DuplicateAttributes>",
    )


def version_mismatch() -> Refused:
    return Refused(
        412,
        "0x80060882",
        "The version of the existing record doesn't match the RowVersion property provided.",
    )


def not_allowed(message: str) -> Refused:
    return Refused(405, "0x80060888", message)


def wrong_verb(method: str) -> Refused:
    return not_allowed(f"The requested resource does not support http method '{method}'.")


def invalid(message: str, code: str = "0x0") -> Refused:
    return Refused(400, code, message)


def query_syntax() -> Refused:
    return Refused(400, "", "Bad Request - Error in query syntax.")


def restricted_key(status: int, logical: str) -> Refused:
    """A key value with a character that keys in a URL do not take: reported as either of these."""
    return query_syntax() if status == 400 else missing_key_values(logical)


def no_concurrency(logical: str) -> Refused:
    return invalid(
        f"Optimistic concurrency isn't enabled for entity type {logical}. The IfVersionMatches value of "
        "ConcurrencyBehavior can only be used if optimistic concurrency is enabled.",
        "0x8006088d",
    )


def no_such_key(logical: str) -> Refused:
    return Refused(
        400,
        "0x0",
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{logical}'. Ensure that the "
        "names and number of key properties match the declared or alternate key properties for the resource.",
    )


def missing_key_values(logical: str) -> Refused:
    return Refused(404, "0x80060891", f"A record with the specified key values does not exist in {logical} entity")
