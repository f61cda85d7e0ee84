"""Reads one file of submissions in a process of its own, under limits of memory and processor time. Never imported.

In comes the file; the mapping is an argument. Out go a line of JSON (why the file is refused, or an empty object) and
the raw frame as an Arrow stream.
"""

import sys
from typing import Any

import orjson
import psutil
import pyarrow as pa

from connectors.bounded_child import OUT_OF_MEMORY
from connectors.json_documents import read_json_file
from schemas.errors import BatchRefused, MappingError
from schemas.mappings import Mapping


def limit(memory: int, seconds: int) -> None:
    """Take no more than so many bytes, beyond what is loaded, and seconds; where the system has such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def tell(head: dict[str, Any], table: pa.Table | None = None) -> None:
    out = sys.stdout.buffer
    out.write(orjson.dumps(head) + b"\n")
    if table is not None:
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)


def main() -> None:
    mapping = Mapping.model_validate_json(sys.argv[3])
    payload = sys.stdin.buffer.read()
    limit(int(sys.argv[1]), int(sys.argv[2]))
    try:
        frame = read_json_file(payload, mapping)
    except BatchRefused as refused:
        message = str(refused).removesuffix(f" Remedy: {refused.remedy}")
        tell({"refused": refused.code, "message": message, "remedy": refused.remedy})
    except MappingError as wrong:
        tell({"mapping": str(wrong)})
    else:
        tell({}, pa.Table.from_pandas(frame, preserve_index=False))


if __name__ == "__main__":
    try:
        main()
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
