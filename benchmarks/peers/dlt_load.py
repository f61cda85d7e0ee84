"""dlt with a custom destination ("reverse ETL" in its docs) that upserts each batch it is handed.

`python dlt_load.py CRM_JSON ROWS_FOLDER BATCH WORKERS WORK_DIR`; prints one JSON object. Batch 10 and one worker a file is
the tool as shipped; tuned by hand, files are split so that WORKERS of them are loaded at once. Requests go by dlt's own
helper: 5 attempts on 429, 5xx and lost connections, Retry-After respected. A batch that is refused (400) is noted, for
raising would have dlt try it five times more and then give up the rest of its file.
"""

import json
import math
import os
import sys
import time

import dlt
from crm import TABLES, Access, DeadLetters, read_rows, upsert_request
from dlt.sources.helpers import requests
from requests import RequestException


def main(crm: str, folder: str, batch: str, workers: str, work_dir: str) -> None:
    access, dead, parallel = Access(crm), DeadLetters(), int(workers)
    tables = read_rows(folder)
    if parallel > 1:
        rows_a_file = math.ceil(max(map(len, tables.values())) / parallel)
        os.environ |= {"NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": str(rows_a_file), "LOAD__WORKERS": workers}

    @dlt.destination(batch_size=int(batch), name="dataverse")
    def dataverse(items: list[dict], table: dict) -> None:
        try:
            requests.post(**upsert_request(access, table["name"], items))
        except RequestException:
            dead.add(items)

    pipeline = dlt.pipeline("crm", destination=dataverse, dataset_name="crm", pipelines_dir=work_dir)
    began = time.perf_counter()
    pipeline.run([dlt.resource(tables[name], name=name) for name in TABLES])
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "dead_letters": sorted(dead.keys)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
