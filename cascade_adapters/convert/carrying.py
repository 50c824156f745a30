"""Results on their way from one container to another."""

from __future__ import annotations

from dataclasses import replace

from cascade_adapters.containers.base import Container
from cascade_adapters.convert.session import Plane, Session
from cascade_adapters.results import Results
from cascade_adapters.results.record import now
from cascade_engine._version import __version__


def carried_results(session: Session, plane: Plane, container: Container | None = None) -> Results | None:
    """The results of a plane, with a record that says where they come from.

    Parameters
    ----------
    session : Session
        What is converted.
    plane : Plane
        One of its planes.
    container : Container, optional
        Where the results go: the record then holds the hashes of its traces. Without it, the record keeps the hashes
        of the traces that were read.

    Returns
    -------
    Results or None
        None if the plane has no results.
    """
    if plane.results is None:
        return None
    earlier = plane.results.record
    step = {
        "from": session.path.name,
        "kind": session.kind,
        "input": earlier.input,
        "at": now(),
        "cascade-spikes": __version__,
    }
    record = replace(
        earlier,
        converted=[*earlier.converted, step],
        input=earlier.input if container is None else container.fingerprint(),
        container={},  # what the old container had to remember means nothing to the new one
    )
    return replace(plane.results, record=record)
