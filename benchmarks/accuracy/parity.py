"""How closely imported models agree with what the published code predicts.

    python -m benchmarks.accuracy.parity FOLDER

FOLDER holds ``peer_models/``, ``peer_predictions/`` and ``containers/arrays/``, as for the tests. The published code
writes each output one frame early, so the comparison shifts by one frame.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from cascade_engine import import_published, infer

CASES = [
    ("OGB_zf_pDp_7.5Hz_smoothing200ms", "zebrafish-OGB1-7.5Hz-b", 7.5, ""),
    ("Global_EXC_30Hz_smoothing25ms", "allen-visual-coding-30Hz", 30.0, ""),
    ("Cascade_Universal_30Hz-keras3", "allen-visual-coding-30Hz", 30.0, "-first8"),
]


def main() -> None:
    """Print the largest difference for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    root = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        for name, recording, frame_rate, suffix in CASES:
            model = import_published(root / "peer_models" / name, Path(temporary) / name)
            published = np.load(root / "peer_predictions" / f"{name}__{recording}{suffix}.npy")
            dff = loadmat(root / "containers" / "arrays" / f"{recording}.mat")["dF_traces"][: len(published)]
            ours = infer(dff, frame_rate, model).spike_prob
            difference = np.nanmax(np.abs(ours[:, 1:] - published[:, :-1]))
            print(f"{name}: {len(published)} neurons, largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
