"""suite2p: its folders, and a hook that runs it and then infers spikes.

>>> from cascade_adapters.suite2p import run_on_folder, run_s2p  # doctest: +SKIP
>>> run_s2p(db, settings, cascade={"threshold": 1})  # doctest: +SKIP
"""

from cascade_adapters.suite2p.hook import run_on_folder, run_s2p
from cascade_adapters.suite2p.plane import Suite2pPlane

__all__ = ["Suite2pPlane", "run_on_folder", "run_s2p"]
