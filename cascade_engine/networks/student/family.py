"""Students as a family of networks: used like the universal model, from which they differ in size and training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade_engine.errors import InputError
from cascade_engine.networks.base import Predictor
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import Model
from cascade_engine.networks.student.config import StudentConfig
from cascade_engine.networks.student.predictor import StudentPredictor
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.family import UniversalFamily

if TYPE_CHECKING:
    from cascade_engine.ground_truth.records import Dataset
    from cascade_engine.networks.training_loop import Trainer


class StudentFamily(UniversalFamily):
    """Small networks that learned from a universal model."""

    name = "student"
    config = StudentConfig

    def open(self, model: Model, frame_rate: float, settings: Settings) -> Predictor:
        """See `Family.open`."""
        return StudentPredictor(model, frame_rate, settings)

    def trainer(self, config: UniversalConfig, datasets: Sequence[Dataset], transfer: Model | None = None) -> Trainer:
        """See `Family.trainer`; there is no transfer."""
        from cascade_engine.networks.student.trainer import StudentTrainer

        if transfer is not None:
            raise InputError("a student cannot start from the weights of another model")
        assert isinstance(config, StudentConfig)
        return StudentTrainer(config, datasets)


FAMILY = StudentFamily()
