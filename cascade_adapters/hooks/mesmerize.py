"""``series.cascade``: spike inference on the items of a mesmerize-core batch::

import mesmerize_core, cascade_adapters.hooks.mesmerize

df = mesmerize_core.load_batch("batch.pickle")
df.iloc[1].cascade.run()  # after this item, a CNMF, has been run
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.hooks.caiman import run_on_file
from cascade_adapters.results import Results
from cascade_adapters.running.report import Report
from cascade_engine.errors import MissingExtraError

if find_spec("mesmerize_core") is None:
    raise MissingExtraError("mesmerize-core", "mesmerize", "the accessor series.cascade")

import pandas as pd  # a requirement of mesmerize-core


@pd.api.extensions.register_series_accessor("cascade")
class CascadeSeriesExtensions:
    """Spike inference on one item of a batch, on the file that CaImAn has written for it.

    Parameters
    ----------
    series : pandas.Series
        A row of the batch, of an item ``cnmf`` or ``cnmfe`` that has been run.
    """

    def __init__(self, series: pd.Series):
        self._series = series

    def run(self, **options: Any) -> Report:
        """Infer spikes and write them into the item's file.

        Parameters
        ----------
        **options
            As for `cascade_adapters.hooks.caiman.run_on_file`.

        Returns
        -------
        Report
            What was found and done.
        """
        report = run_on_file(self._path(), **options)
        self._forget_cached()
        return report

    def get_results(self) -> Results | None:
        """The results in the item's file, or None."""
        return CaimanFile(self._path()).results()

    def restore(self) -> list[str]:
        """Take everything back that `run` has written; returns what was done."""
        done = CaimanFile(self._path()).restore()
        self._forget_cached()
        return done

    def _path(self) -> Path:
        import mesmerize_core  # noqa: F401  (registers the accessor cnmf, if that has not happened yet)

        return Path(self._series.cnmf.get_output_path())

    def _forget_cached(self) -> None:
        """What mesmerize-core has loaded from the file before is old now."""
        from mesmerize_core.caiman_extensions.cnmf import cnmf_cache

        cnmf_cache.invalidate()(lambda instance: None)(self)
