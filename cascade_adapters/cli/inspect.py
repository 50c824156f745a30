"""``cascade inspect``."""

from __future__ import annotations

import json
import sys

import click

from cascade_adapters.cli.selecting import PathOrAddress, reading_options, selection_options


@click.command("inspect")
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@click.option("--model", metavar="MODEL", help="Name or folder of the model that you mean to use.")
@reading_options
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(paths, model, frame_rate, neuropil_coefficient, dff, arbitrary_units, channel, series, key, orientation,
            raw, as_json) -> None:  # fmt: skip
    """Say what lies at or below PATHS: size, frame rate and its source, noise, earlier results. Nothing is written."""
    from cascade_adapters.containers.base import Reading, Selection
    from cascade_adapters.containers.registry import find_all
    from cascade_adapters.running.inspection import inspect_container
    from cascade_engine.errors import CascadeError
    from cascade_engine.networks.store import AUTOMATIC, load_model

    chosen = load_model(model or AUTOMATIC)
    reading = Reading(frame_rate, neuropil_coefficient, dff, arbitrary_units)
    containers, failures = find_all(paths, Selection(channel, series, False, key, orientation, raw))
    found = [{"path": failure.path, "problem": failure.message} for failure in failures]
    for container in containers:
        try:
            found.append(inspect_container(container, reading, chosen))
        except CascadeError as error:
            found.append({"path": str(container.path), "kind": container.kind, "problem": str(error)})
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        for facts in found:
            click.echo(_describe(facts), err="problem" in facts)
    if any("problem" in facts for facts in found):
        sys.exit(1)


def _describe(facts: dict) -> str:
    from cascade_adapters.cli.text import judge_noise, tell_expected

    if "problem" in facts:
        return facts["problem"]
    cells = "" if facts["n_cells"] is None else f", {facts['n_cells']} of them cells"
    lines = [
        f"{facts['path']}",
        f"  {facts['kind']}, {facts['n_rois']} ROIs{cells} x {facts['n_frames']} frames, {facts['minutes']:.1f} min",
        f"  frame rate {facts['frame_rate_hz']:g} Hz ({facts['frame_rate_source']})",
        f"  {'dF/F' if facts['has_dff'] else 'raw fluorescence'} from {facts['traces']}",
    ]
    if facts["indicator"]:
        lines.append(f"  indicator {facts['indicator']}")
    if not facts["has_dff"]:
        has_neuropil, coefficient = facts["has_neuropil"], facts["neuropil_coefficient"]
        lines.append(f"  neuropil coefficient {coefficient:g}" if has_neuropil else "  no neuropil traces")
    if facts["sessions"]:
        lines.append(f"  {len(facts['sessions'])} concatenated sessions of {facts['sessions']} frames")
    if facts["noise_level"]:
        low, middle, high = facts["noise_level"]
        spread = f"{low:.1f} to {high:.1f} in 80 % of ROIs"
        lines.append(f"  noise level {middle:.1f} % per sqrt(Hz) ({judge_noise(middle)}), {spread}")
    lines.append(f"  model {facts['model']}")
    if facts["expected"]:
        lines.append(f"  {tell_expected(facts['expected'])}")
    lines.append(f"  results: {facts['results']}")
    lines += [f"  warning: {text}" for text in facts["warnings"]]
    return "\n".join(lines)
