"""The days that the intake benchmark's rows are of: apart, so that what is timed need not import what makes its inputs."""

from datetime import date, timedelta

UNTIL = date(2026, 11, 20)
DAYS = 20
FIRST_ON = UNTIL - timedelta(days=DAYS)
