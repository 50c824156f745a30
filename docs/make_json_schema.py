"""Write the JSON Schema of what ``--json`` prints: ``python docs/make_json_schema.py``."""

import json
from pathlib import Path

from cascade_adapters.cli.json_output import json_schema

Path(__file__).with_name("json_schema.json").write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
