"""The plain script: pandas, `DataFrame.to_sql`, and one statement that lets the latest row of an address win.

`python pandas_intake.py FOLDER REGISTER_URL STORE_URL`; prints one JSON object.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from feeds import iter_frames

SUBMISSIONS = """
create table submissions as
select distinct on (feed, submission_id) * from staging order by feed, submission_id, submitted_at desc nulls last
"""
CONTACTS = """
create table contacts as
select distinct on (email) email, first_name, last_name, phone, company, postal_code, city, marketing, submitted_at
from submissions where email is not null order by email, submitted_at desc nulls last
"""


def main(folder: str, register_url: str, store_url: str) -> None:
    frames = list(iter_frames(Path(folder), sa.create_engine(register_url)))
    everything = pd.concat(frames, ignore_index=True)
    store = sa.create_engine(store_url)
    everything.to_sql("staging", store, if_exists="replace", index=False)
    with store.begin() as conn:
        conn.execute(sa.text(SUBMISSIONS))
        conn.execute(sa.text(CONTACTS))
        contacts = conn.execute(sa.text("select count(*) from contacts")).scalar_one()
    sys.stdout.write(json.dumps({"rows": len(everything), "contacts": contacts}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
