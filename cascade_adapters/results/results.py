"""Results as they go into a container and come out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cascade_adapters.results import schema
from cascade_adapters.results.record import Record
from cascade_adapters.results.spikes import Spikes


@dataclass
class Results:
    """What is written into a container.

    Attributes
    ----------
    arrays : dict of str to array-like
        The arrays of `cascade_adapters.results.schema.ARRAYS`, by name, one row per ROI of the container; large ones
        may lie on the disk and be read by rows.
    record : Record
        How they came about.
    spikes : Spikes or None
        Discrete spikes, where they were asked for; ``record.discrete_spikes`` says how they came about.
    """

    arrays: dict[str, Any]
    record: Record
    spikes: Spikes | None = None

    def __post_init__(self) -> None:
        unknown = set(self.arrays) - {array.name for array in schema.ARRAYS}
        assert not unknown, f"{unknown} are not in the list of result arrays"

    def __repr__(self) -> str:
        n_rois, n_frames = self.shape
        spikes = "" if self.spikes is None else f", {len(self.spikes.roi)} discrete spikes"
        return f"<Results of {n_rois} ROIs x {n_frames} frames{spikes}: {', '.join(self.arrays)}; {self.record!r}>"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of ROIs and frames."""
        n_rois, n_frames = self.arrays["spike_prob"].shape
        return int(n_rois), int(n_frames)

    @property
    def spike_prob(self) -> Any:
        """Expected spikes per frame, (n_rois, n_frames)."""
        return self.arrays["spike_prob"]

    @property
    def dff(self) -> Any:
        """dF/F as a fraction, (n_rois, n_frames)."""
        return self.arrays["dff"]

    @property
    def noise_levels(self) -> Any:
        """Noise levels in percent per sqrt(Hz), (n_rois,)."""
        return self.arrays["noise_levels"]
