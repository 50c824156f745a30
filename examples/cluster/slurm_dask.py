"""Spikes in many recordings with Slurm, by way of Dask: one command, one display, one summary.

    pip install distributed dask-jobqueue
    python slurm_dask.py /data --workers 20

Run it on a login node, or in a job of its own: it asks Slurm for workers, gives each of them one recording after the
other, and ends them when all is done. Recordings are skipped if their results are up to date. So if it was stopped, or
some failed, run the same again.
"""

from __future__ import annotations

import argparse

from dask_jobqueue import SLURMCluster

import cascade_adapters


def main() -> None:
    """Ask for workers and have them do all recordings in a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder that all nodes see under this name")
    parser.add_argument("--workers", type=int, default=10, help="how many recordings at a time")
    parser.add_argument("--queue", help="partition of Slurm")
    given = parser.parse_args()
    cluster = SLURMCluster(
        queue=given.queue,
        cores=1,  # one recording per worker
        memory="2GB",  # more for files that are read whole: .npz, .mat, text
        walltime="02:00:00",
    )
    with cluster:
        cluster.scale(given.workers)
        done = cascade_adapters.run(given.folder, scheduler=cluster.scheduler_address, progress=True)
    print(f"{len(done)} recordings are done or were up to date")


if __name__ == "__main__":
    main()
