"""Compare the results in an example recording with its true spikes, and draw them.

python examples/compare_with_truth.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from cascade_engine import score, smooth_spikes
from cascade_engine.ground_truth.resampling import count_spikes
from cascade_engine.plotting import plot_traces

SHOWN_S = 100.0
N_SHOWN = 5


def main() -> None:
    """Print the agreement per plane, and save a picture of the first."""
    root = Path(sys.argv[1]) / "suite2p"
    for plane in sorted(root.glob("plane?")):
        spike_prob = np.load(plane / "cascade_spike_prob.npy")
        record = json.loads((plane / "cascade.json").read_text())
        frame_rate, smoothing = record["recording"]["frame_rate_hz"], record["settings"]["smoothing"]
        with np.load(root / f"{plane.name}_true_spikes.npz") as content:
            spikes = [content[f"roi{i}"] for i in range(len(content))]
        scores = []
        for predicted, times in zip(spike_prob, spikes, strict=False):
            counts = count_spikes(times, 0.0, frame_rate, len(predicted))
            scores.append(score(predicted, smooth_spikes(counts, frame_rate, smoothing)))
        level = np.median(np.load(plane / "cascade_noise_levels.npy")[: len(spikes)])
        print(
            f"{plane.name}: noise level {level:.1f}, correlation with the true spikes "
            f"{np.median([item.correlation for item in scores]):.2f}, spikes inferred for each true one "
            f"{np.median([1 + item.bias for item in scores]):.2f} (medians of {len(scores)} simulated neurons)"
        )
        if plane.name == "plane0":
            n_frames = int(SHOWN_S * frame_rate)
            best = np.argsort([-len(times) for times in spikes])[:N_SHOWN]
            figure = plot_traces(
                np.load(plane / "cascade_dff.npy")[best, :n_frames],
                spike_prob[best, :n_frames],
                frame_rate,
                [spikes[i][spikes[i] < SHOWN_S] for i in best],
                [f"ROI {i}" for i in best],
                "Simulated recording, plane 0",
            )
            picture = root.parent / "traces.png"
            figure.savefig(picture, dpi=130)
    print(f"results: {root}/plane0/cascade_spike_prob.npy and the other cascade files beside it")
    print(f"picture: {picture}")


if __name__ == "__main__":
    main()
