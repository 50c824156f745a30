"""Spike inference inside calcium-imaging containers: read, compute dF/F, predict, write back, undo.

One door for every container, given by its path or, for CaImAn, as an object in memory:

>>> import cascade_adapters as cascade  # doctest: +SKIP
>>> done = cascade.run("data/mouse1/suite2p", indicator="GCaMP6s")  # doctest: +SKIP
>>> done[0].results.spike_prob, done[0].record.warnings  # doctest: +SKIP
>>> cascade.restore("data/mouse1/suite2p")  # doctest: +SKIP
"""

from cascade_adapters.door import Done, find, read_results, restore, run

__all__ = ["Done", "find", "read_results", "restore", "run"]
