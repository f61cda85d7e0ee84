"""The same with dlt: one resource of tidied frames, merged by its key, the latest row winning; then contacts by address.

`python dlt_intake.py FOLDER REGISTER_URL STORE_URL WORK_DIR`; prints one JSON object.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import dlt
import pandas as pd
import sqlalchemy as sa
from feeds import iter_frames

counted = {"rows": 0}


@dlt.resource(
    name="submissions",
    write_disposition="merge",
    primary_key=("feed", "submission_id"),
    columns={"submitted_at": {"dedup_sort": "desc"}},
)
def submissions(folder: Path, register: sa.Engine) -> Iterator[pd.DataFrame]:
    for frame in iter_frames(folder, register):
        counted["rows"] += len(frame)
        yield frame


def main(folder: str, register_url: str, store_url: str, work_dir: str) -> None:
    pipeline = dlt.pipeline(
        "intake",
        destination=dlt.destinations.postgres(credentials=store_url),
        dataset_name="intake",
        pipelines_dir=work_dir,
    )
    pipeline.run(submissions(Path(folder), sa.create_engine(register_url)))
    with pipeline.sql_client() as client:
        client.execute_sql(
            "create table contacts as select distinct on (email) email, first_name, last_name, phone, company,"
            " postal_code, city, marketing, submitted_at from submissions where email is not null"
            " order by email, submitted_at desc nulls last"
        )
        found = client.execute_sql("select count(*) from contacts")
    sys.stdout.write(json.dumps({**counted, "contacts": found[0][0]}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
