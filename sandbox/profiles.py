"""The shipped catalogue of system-defined inference profiles, for worlds that name none of their own."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sandbox.regions import partition_of

_FILE: Final = Path(__file__).parent.parent / "cli" / "bedrock_remediator_cli" / "profiles.json"
"""`as_of` is the day of the facts. `models` has, by model id, the regions where it is `on_demand`, and its `profiles`:
by profile id, each route `from` source regions `to` destination regions. "" is the model without a region, to which a
global profile routes."""


@functools.cache
def _models() -> dict[str, Any]:
    models: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))["models"]
    return models


def inference_profiles() -> dict[str, list[dict[str, Any]]]:
    """Every system-defined profile by its source region, as a world file has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model, content in _models().items():
        for profile, routes in content["profiles"].items():
            for source, destinations in _sources(routes):
                # A global profile's list has the source region's model beside the one without a region.
                regions = {*destinations, source} if "" in destinations else destinations
                arns = [_arn(model, source, region) for region in regions]
                entry = {"id": profile, "type": "SYSTEM_DEFINED", "models": sorted(arns)}
                found.setdefault(source, []).append(entry)
    return found


def foundation_models() -> dict[str, list[dict[str, Any]]]:
    """Every model by the regions that it can be called from, as a world file has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model, content in _models().items():
        types: dict[str, list[str]] = {region: ["ON_DEMAND"] for region in content["on_demand"]}
        for routes in content["profiles"].values():
            for source, _ in _sources(routes):
                kinds = types.setdefault(source, [])
                if "INFERENCE_PROFILE" not in kinds:
                    kinds.append("INFERENCE_PROFILE")
        for region, kinds in types.items():
            found.setdefault(region, []).append({"id": model, "inference_types": kinds})
    return found


def _sources(routes: list[dict[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    for route in routes:
        for source in route["from"]:
            yield source, route["to"]


def _arn(model: str, source: str, region: str) -> str:
    return f"arn:{partition_of(source)}:bedrock:{region}::foundation-model/{model}"
