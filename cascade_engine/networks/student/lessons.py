"""What a student is taught: traces of every kind, and what its teacher makes of them.

Recorded and simulated neurons come as in the training of the teacher. The teacher sees a clean trace. The student may
see the same trace disturbed (`cascade_engine.networks.universal.disturbances`) and is to give the same spikes all the
same. Where a crop is replaced by noise alone, there are none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cascade_engine.networks.families import resolve
from cascade_engine.networks.settings import NOT_GIVEN, POPULATIONS, Settings
from cascade_engine.networks.store import Model
from cascade_engine.networks.student.config import StudentConfig
from cascade_engine.networks.universal.architecture import INDICATOR_FAMILIES, UNKNOWN, Stated, conditions, stated
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.disturbances import disturb
from cascade_engine.networks.universal.predictor import UniversalPredictor
from cascade_engine.parallel import available_processors, work_through
from cascade_engine.signal.noise import MEDIAN_ABS_DIFFERENCE, noise_level_to_sd, sd_to_noise_level

#: Standard deviation of the logarithm of the factor by which dF/F is made larger or smaller.
_RESCALING = 0.3

#: Rate (Hz) that is added to the taught one before crops are weighted by its inverse, as in the teacher's training.
_RATE_FLOOR_HZ = 0.2


class Lessons:
    """Draws batches for a student.

    Parameters
    ----------
    teacher : Model
        The universal model whose predictions are taught.
    recorded, simulated : UniversalBatches
        Clean crops of both kinds, without disturbances.
    config : StudentConfig
        How often which kind is drawn, and disturbed.
    """

    def __init__(
        self, teacher: Model, recorded: UniversalBatches, simulated: UniversalBatches, config: StudentConfig
    ) -> None:
        self._teacher, self._recorded, self._simulated, self._config = teacher, recorded, simulated, config
        self._settings = resolve(Settings(), teacher, teacher.usual_frame_rate)

    def batch(self, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        """Draw a batch.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness; the same state gives the same batch.

        Returns
        -------
        inputs : list of three arrays
            dF/F (batch, frames), conditions (batch, N_CONDITIONS) and mask (batch, frames).
        target : array, shape (batch, frames, 2), float32
            Expected spikes per frame as taught, and the weight of each frame.
        """
        simulated = rng.random() < self._config.simulated_share
        (dff, known, mask), _ = (self._simulated if simulated else self._recorded).batch(rng)
        for rescaled in np.flatnonzero(rng.random(len(dff)) < self._config.rescaled_share):
            factor = np.exp(_RESCALING * rng.standard_normal())
            dff[rescaled] *= np.float32(factor)
            known[rescaled, 1] += np.float32(np.log(factor))
        taught = self.taught(dff, known, mask)
        told = [stated(row) for row in known]
        for row, each in enumerate(told):
            if rng.random() < self._config.disturbed_share:
                neighbour = np.roll(dff[rng.integers(len(dff))], rng.integers(1, dff.shape[1]))
                dff[row], mask[row] = disturb(dff[row], mask[row] > 0, each.frame_rate, neighbour, rng)
                noise_sd = self._noise_sd(dff[row], mask[row], each.frame_rate)
            elif not simulated and rng.random() < self._config.silent_share:
                level = np.exp(rng.uniform(*np.log(self._config.noise_range)))
                noise_sd = noise_level_to_sd(level, each.frame_rate)
                dff[row] = np.float32(noise_sd) * rng.standard_normal(dff.shape[1], dtype=np.float32) * mask[row]
                taught[row] = 0.0
            else:
                continue
            known[row] = conditions(each.frame_rate, np.array([noise_sd]), each.interneuron, each.family)[0]
        rates = np.array([each.frame_rate for each in told])
        taught_hz = rates * taught.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
        weight = mask * (rates / (taught_hz + _RATE_FLOOR_HZ))[:, np.newaxis] * (len(mask) / mask.sum())
        return [dff, known, mask], np.stack([taught * mask, weight], axis=-1).astype(np.float32)

    def taught(self, dff: np.ndarray, known: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """What the teacher predicts; the arguments are those of a network, the result is (batch, frames)."""
        found = np.zeros_like(dff)

        def predict(row: int) -> int:
            each = stated(known[row])
            trace = np.where(mask[row] > 0, dff[row], np.nan)
            level = sd_to_noise_level(each.noise_sd, each.frame_rate)
            whole = [slice(0, len(trace))]
            found[row] = self._predictor(each).expected_spikes(trace, level, whole)[0] * mask[row]
            return len(trace)

        work_through(range(len(dff)), predict, available_processors(), lambda n_frames: None)
        return found

    def _predictor(self, each: Stated) -> UniversalPredictor:
        settings = replace(
            self._settings,
            population=POPULATIONS[int(each.interneuron)],
            indicator=NOT_GIVEN if each.family == UNKNOWN else INDICATOR_FAMILIES[each.family][0],
        )
        return UniversalPredictor(self._teacher, each.frame_rate, settings)

    def _noise_sd(self, dff: np.ndarray, mask: np.ndarray, frame_rate: float) -> float:
        steps = np.abs(np.diff(dff))[mask[1:] * mask[:-1] > 0]
        return max(
            float(np.median(steps)) / MEDIAN_ABS_DIFFERENCE,
            noise_level_to_sd(self._config.least_noise_level, frame_rate),
        )
