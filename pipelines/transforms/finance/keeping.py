"""How long accounting law keeps an entry: Accounting Act 1336/1997, chapter 2 section 10.

A voucher is kept six years from the end of the calendar year in which its fiscal year ended, the books ten years from
the end of the fiscal year. Of a fiscal year that ended on 2024-03-31 vouchers go after 2030-12-31, books after 2034-03-31.
"""

from datetime import date, timedelta

from schemas.finance import FinancePolicy, RecordClass


def fiscal_year_end(dated_on: date, policy: FinancePolicy) -> date:
    """The last day of the fiscal year that a day lies in."""
    month, day = (int(part) for part in policy.fiscal_year_ends.split("-"))
    this = _last_day(dated_on.year, month, day)
    return this if dated_on <= this else _last_day(dated_on.year + 1, month, day)


def kept_until(year_end: date, record_class: RecordClass, policy: FinancePolicy) -> date:
    """The last day on which an entry of the fiscal year that ended on `year_end` is kept."""
    if record_class is RecordClass.VOUCHER:
        return date(year_end.year + policy.voucher_years, 12, 31)
    return _last_day(year_end.year + policy.book_years, year_end.month, year_end.day)


def _last_day(year: int, month: int, day: int) -> date:
    """That day, or where the month is shorter its last (29 February)."""
    try:
        return date(year, month, day)
    except ValueError:
        return (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
