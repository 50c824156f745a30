"""Running a student: one network, one pass, whether the indicator is told or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cascade_engine.networks.student.graph import part_names
from cascade_engine.networks.universal.predictor import UniversalPredictor


class StudentPredictor(UniversalPredictor):
    """Predicts with a student; see `cascade_engine.networks.base.Predictor`."""

    def expected_spikes(self, trace: np.ndarray, noise_level: float, segments: Sequence[slice]) -> list[np.ndarray]:
        """See `UniversalPredictor.expected_spikes`; shape and number of spikes come from the same pass."""
        return [found[0] for found in self.by_networks(trace, noise_level, segments, self._family)]

    def sessions(self) -> tuple[Any, Any]:
        """The two parts of the network in use: the one that learned from everything, unless another is asked for."""
        number = 0 if self.model.members is None else self.model.members[0]
        context, spikes = part_names(number)
        return self.model.session(context), self.model.session(spikes)
