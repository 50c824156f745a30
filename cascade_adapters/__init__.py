"""Spike inference inside calcium-imaging containers: read, compute dF/F, predict, write back, undo.

One door for every container, given by its path or, for CaImAn, as an object in memory::

    import cascade_adapters as cascade

    (done,) = cascade.run("data/mouse1/suite2p/plane0", indicator="GCaMP6s")
    done.results.spike_prob, done.record.warnings
    cascade.report("data/mouse1/suite2p/plane0")  # a page to look at
    cascade.restore("data/mouse1/suite2p/plane0")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade_adapters.door import Done, find, lab_defaults, read_results, report, restore, run

__all__ = ["Done", "find", "lab_defaults", "read_results", "report", "restore", "run"]


def __getattr__(name: str) -> Any:
    """Import the door when it is first used, so that the command ``cascade`` starts at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cascade_adapters import door

    return getattr(door, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
