"""CaImAn: its HDF5 files, and its objects in memory.

>>> from cascade_adapters.caiman import run_on_estimates, run_on_file  # doctest: +SKIP
>>> run_on_estimates(cnm)  # sets cnm.estimates.cascade  # doctest: +SKIP
>>> cnm.save("results.hdf5")  # doctest: +SKIP
"""

from cascade_adapters.caiman.file import CaimanFile
from cascade_adapters.caiman.hook import run_on_estimates, run_on_file
from cascade_adapters.caiman.memory import CaimanObject

__all__ = ["CaimanFile", "CaimanObject", "run_on_estimates", "run_on_file"]
