"""The noise of a recording among the ground truth: a chart, and in words."""

from __future__ import annotations

import numpy as np

from cascade_adapters.pages import charts
from cascade_adapters.pages.expecting import zone_of
from cascade_engine.ground_truth import load_catalogue

#: How much larger (as a factor) the comparable noise level must be to be told apart from that of the dF/F in use.
_TOLD_APART = 1.05


def dataset_marks() -> list[charts.Mark]:
    """The public datasets on the axis of noise, by the median over their neurons."""
    return [
        charts.Mark(entry.noise_level[1], f"{entry.key} {entry.indicator}, {entry.species} {entry.area}")
        for entry in load_catalogue().values()
        if entry.noise_level
    ]


def noise_chart(levels: np.ndarray, claims: bool) -> str:
    """Histogram of noise levels as SVG; empty without any.

    Parameters
    ----------
    levels : array, shape (n_rois,)
        In percent per sqrt(Hz), NaN where not known.
    claims : bool
        Whether they say something: only then zones and datasets are shown.
    """
    known = levels[np.isfinite(levels)]
    return charts.noise_chart(known, dataset_marks() if claims else [], claims) if known.size else ""


def _how_many(number: int, of: int) -> str:
    words = {0: "none", of: "all"}.get(number, str(number))
    return f"{words} {'has' if number == 1 else 'have'}"


def noise_words(levels: np.ndarray, used: np.ndarray) -> list[str]:
    """What the noise levels say, sentence by sentence.

    Parameters
    ----------
    levels : array, shape (n_rois,)
        Comparable noise levels in percent per sqrt(Hz), NaN where not known; at least one is known.
    used : array, shape (n_rois,)
        Those of the dF/F that spikes were inferred from.
    """
    known, marks = levels[np.isfinite(levels)], dataset_marks()
    level, (low, high) = float(np.median(known)), np.percentile(known, [10, 90])
    noisier = sum(mark.value > level for mark in marks)
    nearest = sorted(marks, key=lambda mark: abs(np.log(mark.value / max(level, 1e-3))))[:3]
    words = [
        f"Median {level:.1f} % per √Hz: {zone_of(level)}. Four in five ROIs lie between {low:.1f} and {high:.1f}.",
        f"Of the {len(marks)} public ground-truth datasets, {_how_many(noisier, len(marks))} "
        "more noise than this recording. "
        f"Nearest: {'; '.join(f'{mark.name} ({mark.value:.1f})' for mark in nearest)}.",
    ]
    of_dff = float(np.nanmedian(used)) if np.isfinite(used).any() else level
    if level > _TOLD_APART * of_dff:
        words.append(
            f"The dF/F in use has a noise level of {of_dff:.1f}: light of the neuropil that stays in F0 makes it "
            "smaller. Here the level with F - r Fneu is shown, which can be compared."
        )
    return words
