"""Measure how well a model predicts neurons whose true spikes are known.

    python examples/evaluate_a_model.py FOLDER                    # the universal model, which comes with the package
    python examples/evaluate_a_model.py FOLDER --model MY_MODEL --noise-level 2

FOLDER holds one file per neuron, as for ``examples/train_on_your_ground_truth.py``. Without own recordings,
``cascade ground-truth simulate FOLDER`` makes some. A model is never judged by neurons that it was trained on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cascade_engine import CascadeError, load_model
from cascade_engine.evaluation import Condition, NeuronScore, evaluate, make_trace, summarize
from cascade_engine.evaluation.leave_out import predict_with
from cascade_engine.evaluation.scores import Summary
from cascade_engine.ground_truth import load_dataset


def _figures(scores: NeuronScore | Summary) -> str:
    return f"{scores.correlation:12.3f} {scores.error:6.2f} {scores.bias:+6.2f}"


def main() -> None:
    """Print the scores of each neuron, and their medians."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, help="folder with one file per neuron")
    arguments.add_argument("--model", default="auto", help="name or folder [default: the universal model]")
    arguments.add_argument("--frame-rate", type=float, default=30.0, help="in Hz [default: 30]")
    arguments.add_argument("--smoothing", type=float, default=0.05, help="width of the kernel in s [default: 0.05]")
    arguments.add_argument("--noise-level", type=float, help="in %% per sqrt(Hz) [default: recordings as they are]")
    given = arguments.parse_args()

    dataset = load_dataset(given.folder)
    model = load_model(given.model).without([dataset.name])
    if model is None:
        sys.exit(f"{given.model} was trained on {dataset.name}: its figures there would be too good")
    condition = Condition(given.frame_rate, given.smoothing, given.noise_level)
    print(f"{model.name} at {given.frame_rate:g} Hz, spikes smoothed by {1000 * given.smoothing:g} ms")
    print(f"{'neuron':30} noise level  correlation  error   bias")

    scores = []
    for neuron in dataset.neurons:
        trace = make_trace(neuron, condition)
        if trace is None:
            print(f"{neuron.cell:30} left out: noisier than this, or of no use")
            continue
        found = evaluate(predict_with(model, condition, trace), trace, condition.label, model.name)
        if found is None:
            print(f"{neuron.cell:30} left out: without spikes")
            continue
        print(f"{neuron.cell:30} {found.noise_level:11.1f} {_figures(found)}")
        scores.append(found)
    if not scores:
        sys.exit("no neuron could be used")
    print(f"{'median':42} {_figures(summarize(scores))}")


if __name__ == "__main__":
    try:
        main()
    except CascadeError as error:
        sys.exit(str(error))
