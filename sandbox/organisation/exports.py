"""Which day's export file brings a row: how often staff export each feed, and how far back each file reaches."""

from dataclasses import dataclass
from datetime import date, timedelta

from sandbox.organisation.calendar import Days


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """An export every `every_days` and on the last day; a file holds `window_days` of rows, or all when None."""

    every_days: int = 1
    window_days: int | None = None

    def is_export_day(self, days: Days, day: date) -> bool:
        return day == days.until or (days.first_on <= day < days.until and self._lag(days, day) == 0)

    def delivered_on(self, days: Days, day: date) -> date:
        """The first export day on or after `day`."""
        lag = self._lag(days, day)
        return min(day if lag == 0 else day + timedelta(days=self.every_days - lag), days.until)

    def _lag(self, days: Days, day: date) -> int:
        return (day - days.first_on).days % self.every_days


EXPORTS = {
    "webropol_event_spring": ExportPlan(every_days=2),
    "webropol_event_seminar": ExportPlan(window_days=3),
    "web_forms_campaign": ExportPlan(every_days=7),
    "manual_entries": ExportPlan(window_days=1),
}
"""The feeds that come as files; the others are pulled, and give out a day's rows by its end."""
