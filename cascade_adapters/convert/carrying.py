"""Results on their way from one container to another."""

from __future__ import annotations

from dataclasses import replace

from cascade_adapters.containers.base import Container
from cascade_adapters.convert.session import Plane, Session
from cascade_adapters.results import Record, Results
from cascade_adapters.results.record import now
from cascade_engine._version import __version__


def carried_results(session: Session, plane: Plane, container: Container) -> Results | None:
    """The results of a plane on their way into a container, None if it has none; see `carried_record`."""
    if plane.results is None:
        return None
    return replace(plane.results, record=carried_record(session, plane, container.fingerprint()))


def carried_record(session: Session, plane: Plane, hashes: dict[str, str]) -> Record:
    """The record of a plane's results, which says where they come from.

    Parameters
    ----------
    session : Session
        What is converted.
    plane : Plane
        One of its planes, with results.
    hashes : dict of str to str
        Those of the traces beside which the results will lie.
    """
    assert plane.results is not None
    earlier = plane.results.record
    step = {
        "from": session.path.name,
        "kind": session.kind,
        "input": earlier.input,
        "at": now(),
        "cascade-spikes": __version__,
    }
    return replace(
        earlier,
        converted=[*earlier.converted, step],
        input=hashes,
        container={},  # what the old container had to remember means nothing to the new one
    )
