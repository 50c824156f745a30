"""How fast it is, on this machine.

    python -m benchmarks.speed.speed                       # all
    python -m benchmarks.speed.speed prediction            # the shipped model; the published architecture in both forms
    python -m benchmarks.speed.speed dff imports

The window form is the published network run on one window of 64 frames per output, through Keras and TensorFlow as in
the published tool (extra ``train``). Only ``model.predict`` is timed, not the cutting of windows.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np


def shortest(repeats: int, action: Callable[[], object]) -> float:
    """Shortest time of a few runs, in s."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def prediction() -> None:
    """Neuron-frames per second of the shipped model, and of the published architecture in both its forms."""
    from cascade_engine import ModelConfig, infer, load_model
    from cascade_engine.networks.keras import import_keras
    from cascade_engine.networks.windowed.keras_network import build_network, build_window_network, read_weights
    from cascade_engine.networks.windowed.writing import write_windowed_model

    dff = (0.1 * np.random.default_rng(0).standard_normal((100, 6000))).astype(np.float32)

    def rate_of(model) -> float:
        infer(dff[:2], 30.0, model)
        return dff.size / shortest(3, lambda: infer(dff, 30.0, model))

    universal = load_model()
    members = universal.card["networks"][0]["members"]
    print(f"{universal.name}, ensemble of {members}, all of infer(): {rate_of(universal):,.0f} neuron-frames/s")

    keras = import_keras()
    config = ModelConfig("published architecture", 30.0, ("none",), noise_levels=(2,), ensemble_size=5)
    networks = [read_weights(build_network(config)) for _ in range(config.ensemble_size)]
    with tempfile.TemporaryDirectory() as folder:
        model = write_windowed_model(Path(folder) / "model", config, {2: networks}, {})
        rate = rate_of(model)
    print(
        f"{config.model_name}, ensemble of 5, dilated form, ONNX Runtime, all of infer(): {rate:,.0f} neuron-frames/s"
    )

    members = [build_window_network(config, weights) for weights in networks]
    windows = np.lib.stride_tricks.sliding_window_view(dff[:4], config.windowsize, axis=1)
    windows = np.ascontiguousarray(windows).reshape(-1, config.windowsize, 1)

    def run() -> None:
        for member in members:
            member.predict(windows, batch_size=4096, verbose=0)

    run()
    window_rate = len(windows) / shortest(3, run)
    print(f"the same, window by window, Keras on {keras.backend.backend()}: {window_rate:,.0f} neuron-frames/s")
    print(f"ratio of the last two: {rate / window_rate:.1f}")


def dff() -> None:
    """Time of dF/F for 1,000 ROIs x 27,000 frames (15 min at 30 Hz)."""
    from cascade_engine.signal.dff import METHODS, Baseline, delta_f_over_f

    rng = np.random.default_rng(0)
    fluorescence = (300 + 20 * rng.standard_normal((1000, 27_000))).astype(np.float32)
    neuropil = (100 + 5 * rng.standard_normal((1000, 27_000))).astype(np.float32)
    for method in METHODS:
        baseline = Baseline(method)
        seconds = shortest(1, partial(delta_f_over_f, fluorescence, 30.0, neuropil, baseline=baseline))
        print(f"dF/F, {method}, 1,000 ROIs x 27,000 frames: {seconds:.1f} s")


def imports() -> None:
    """Time to import the engine and to print the help, in fresh processes."""
    commands = {
        "import cascade_engine": [sys.executable, "-c", "import cascade_engine"],
        "cascade --help": [os.path.join(os.path.dirname(sys.executable), "cascade"), "--help"],
    }
    for name, command in commands.items():
        seconds = shortest(5, partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL))
        print(f"{name}: {seconds:.2f} s")


def main() -> None:
    """Run the benchmarks named on the command line."""
    benchmarks = {"prediction": prediction, "dff": dff, "imports": imports}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(benchmarks)} [default: all]")
    chosen = parser.parse_args().benchmarks or list(benchmarks)
    if unknown := [name for name in chosen if name not in benchmarks]:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    for name in chosen:
        benchmarks[name]()


if __name__ == "__main__":
    main()
