"""Where jobs are done: here, in processes of this computer, or on a Dask cluster; all by one interface."""

from cascade_adapters.running.executors.choice import ONE_BY_ONE, Parallel, choose_executor

__all__ = ["ONE_BY_ONE", "Parallel", "choose_executor"]
