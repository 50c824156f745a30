"""Spike inference inside calcium-imaging containers: read, compute dF/F, predict, write back, undo.

One door for every container, given by its path or, for CaImAn, as an object in memory::

    import cascade_adapters as cascade

    (done,) = cascade.run("data/mouse1/suite2p/plane0", indicator="GCaMP6s")
    done.results.spike_prob, done.record.warnings
    cascade.restore("data/mouse1/suite2p/plane0")
"""

from cascade_adapters.door import Done, find, read_results, restore, run

__all__ = ["Done", "find", "read_results", "restore", "run"]
