"""Says what of a dashboard Grafana's own types do not know: schema.py DASHBOARD. Prints nothing if they know all of it."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# Fields of an annotation that the Prometheus data source reads; these types leave out what belongs to one source alone.
UNKNOWN = {"titleFormat", "textFormat", "tagKeys", "step", "useValueForTime"}


def lost(before, after, path):
    """What is in `before` and not, or another, in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if path.startswith(".annotations.list") and key in UNKNOWN:
                continue
            if key not in after:
                # null is the same as nothing
                if value is not None:
                    yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, value in enumerate(before):
            yield from lost(value, after[index], f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


register_default_plugins()
with open(sys.argv[1], encoding="utf-8") as file:
    dashboard = json.load(file)
known = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
for difference in lost(dashboard, known, ""):
    print(difference)
