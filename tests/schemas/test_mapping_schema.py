"""The exported JSON Schema of a mapping is the language as it stands, and every shipped mapping names it."""

import json
from pathlib import Path

from schemas.mappings import json_schema

CONFIG = Path(__file__).parents[2] / "config"


def test_the_exported_schema_is_current() -> None:
    exported = json.loads((CONFIG / "mapping.schema.json").read_text())
    assert exported == json.loads(json.dumps(json_schema())), (
        "run `crm-intake sources schema > config/mapping.schema.json`"
    )


def test_every_shipped_mapping_names_the_schema_for_editors() -> None:
    mappings = sorted((CONFIG / "sources").glob("*.yaml"))
    assert mappings
    assert all(
        path.read_text().startswith("# yaml-language-server: $schema=../mapping.schema.json") for path in mappings
    )
