"""A Singer target made with the Meltano SDK: a batch sink that upserts its records; fed with the rows as Singer messages.

`python singer_load.py CRM_JSON ROWS_FOLDER BATCH WORK_DIR`; prints one JSON object. The SDK's sinks retry nothing of
their own: a batch whose call fails is noted, for raising would end the target in the middle of its input.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import requests
from crm import Access, DeadLetters, read_rows, upsert_request
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

_TYPES = {str: "string", bool: "boolean", int: "integer"}
dead = DeadLetters()


class DataverseSink(BatchSink):
    """One table."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Send one batch as one UpsertMultiple."""
        records = [{k: v for k, v in record.items() if k[0] != "_"} for record in context["records"]]
        try:
            request = upsert_request(Access(self.config["crm"]), self.stream_name, records)
            requests.post(**request).raise_for_status()
        except requests.RequestException:
            dead.add(records)


class TargetDataverse(Target):
    """The target."""

    name = "target-dataverse"
    default_sink_class = DataverseSink
    config_jsonschema: ClassVar[dict] = th.PropertiesList(th.Property("crm", th.StringType)).to_dict()


def write_messages(folder: str, path: Path) -> None:
    """The rows as a tap would write them."""
    with path.open("w") as out:
        for table, rows in read_rows(folder).items():
            properties = {name: {"type": [_TYPES[type(value)], "null"]} for name, value in rows[0].items()}
            schema = {"type": "object", "properties": properties}
            out.write(json.dumps({"type": "SCHEMA", "stream": table, "schema": schema, "key_properties": ["key"]}))
            for row in rows:
                out.write("\n" + json.dumps({"type": "RECORD", "stream": table, "record": row}))
            out.write("\n")


def main(crm: str, folder: str, batch: str, work_dir: str) -> None:
    messages = Path(work_dir) / "messages.jsonl"
    messages.parent.mkdir(parents=True, exist_ok=True)
    write_messages(folder, messages)
    target = TargetDataverse(config={"crm": crm, "batch_size_rows": int(batch)})
    began = time.perf_counter()
    with messages.open("rb") as file:
        target.listen(file)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "dead_letters": sorted(dead.keys)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
