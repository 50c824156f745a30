#!/bin/bash
# Spikes in many recordings with Slurm: one job of an array per recording. No Python is needed besides cascade-spikes.
#
# 1. List the recordings, one on each line: planes of suite2p, NWB files, CaImAn files, ...
#        find /data -path '*/suite2p/plane*' -name F.npy -printf '%h\n' | sort > recordings.txt
# 2. Submit as many jobs as there are lines, here at most 20 at a time:
#        sbatch --array=1-$(wc -l < recordings.txt)%20 slurm_array.sh recordings.txt
# 3. If some failed, submit the same again: what is up to date is skipped.

#SBATCH --job-name=cascade
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=02:00:00
#SBATCH --output=cascade_%A_%a.log

set -euo pipefail

recordings=${1:-recordings.txt}
recording=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$recordings")
if [ -z "$recording" ]; then
    echo "$recordings has no line $SLURM_ARRAY_TASK_ID" >&2
    exit 1
fi

# activate the environment that has cascade-spikes here, for instance: conda activate cascade
cascade run "$recording" --existing update --threads "${SLURM_CPUS_PER_TASK:-1}"
