"""Results on their way from one container to another."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from cascade_adapters.containers.base import Container, Results
from cascade_adapters.convert.session import Plane, Session
from cascade_engine._version import __version__

#: What every record says, wherever it lies; the rest concerns the container it was in.
_COMMON = (
    "format", "what", "created", "software", "model", "parameters", "recording", "input", "rois", "warnings",
    "discrete_spikes", "converted",
)  # fmt: skip


def carried_results(session: Session, plane: Plane, container: Container | None = None) -> Results | None:
    """The results of a plane, their record telling where they come from.

    Parameters
    ----------
    session : Session
        What is converted.
    plane : Plane
        One of its planes.
    container : Container, optional
        Where the results go: its traces become those that the results are compared with. Without it, the record keeps
        what it says of the traces that were read.

    Returns
    -------
    Results or None
        None if the plane has no results.
    """
    if plane.results is None:
        return None
    earlier = plane.results.provenance
    record = {key: earlier[key] for key in _COMMON if key in earlier}
    step = {
        "from": session.path.name,
        "kind": session.kind,
        "input": earlier.get("input"),
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cascade-spikes": __version__,
    }
    record["converted"] = [*record.get("converted", []), step]
    if container is not None:
        record["input"] = container.fingerprint()
    return replace(plane.results, provenance=record)
