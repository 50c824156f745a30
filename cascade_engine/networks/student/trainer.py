"""Training students: one that learns from the whole teacher, and for each part of the ground truth one for evaluation.

The latter learns from the networks of the teacher that have not seen this part, and does not see it itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.folds import training_folds
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.card import NetworkFile
from cascade_engine.networks.store import Model, load_model
from cascade_engine.networks.student.config import StudentConfig
from cascade_engine.networks.student.graph import build_student_graphs, part_names
from cascade_engine.networks.student.keras_network import build_student
from cascade_engine.networks.student.lessons import Lessons
from cascade_engine.networks.training_loop import NetworkSetup, Trainer, Weights
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.keras_network import read_weights
from cascade_engine.networks.universal.loss import spike_loss
from cascade_engine.networks.universal.trainer import optimizer_of, simulated_batches
from cascade_engine.networks.workplace import Task

_LOG_STEPS = 100


class StudentTrainer(Trainer):
    """Trains students; the parameters are those of `Trainer`."""

    family = "student"

    def __init__(self, config: StudentConfig, datasets: Sequence[Dataset]) -> None:
        super().__init__(config, datasets)
        self._teacher = load_model(config.teacher)
        folds = (
            training_folds(config.training_datasets, config.folds, config.interneuron_datasets) if config.folds else []
        )
        self._left_out = {"student": [], **{f"judge_{number}": fold for number, fold in enumerate(folds, start=1)}}
        self._tasks = [
            Task(key, f"student {number + 1} of {len(self._left_out)}", (config.seed, number), config.steps)
            for number, key in enumerate(self._left_out)
        ]
        self._batches: tuple[UniversalBatches, UniversalBatches] | None = None

    def prepare(self) -> None:
        """See `Trainer.prepare`; for each part of the ground truth the teacher must have a network without it."""
        for fold in self._left_out.values():
            self._teacher_without(fold)

    def tasks(self) -> list[Task]:
        """See `Trainer.tasks`."""
        return self._tasks

    def set_up(self, keras: Any, task: Task) -> NetworkSetup:
        """See `Trainer.set_up`."""
        config, left_out = self.config, self._left_out[task.key]
        if self._batches is None:
            clean = replace(config, disturbed_share=0.0, simulated_disturbed_share=0.0, silent_share=0.0)
            self._batches = UniversalBatches(self.datasets, clean), simulated_batches(clean)
        recorded, simulated = self._batches
        lessons = Lessons(self._teacher_without(left_out), recorded.without(left_out), simulated, config)
        return NetworkSetup(
            network=build_student(config),
            optimizer=optimizer_of(config, keras),
            loss=spike_loss(config, config.gain_weight),
            batch=lessons.batch,
            weights=read_weights,
            windows_per_step=config.frames_per_step,
            steps_per_epoch=1,
            steps_per_line=_LOG_STEPS,
        )

    def files(self, weights: Sequence[Weights]) -> list[NetworkFile]:
        """See `Trainer.files`."""
        return [
            ({"part": part, "members": 1}, f"{part}.onnx", file)
            for number, each in enumerate(weights)
            for part, file in zip(part_names(number), build_student_graphs(self.config, each), strict=True)
        ]

    def facts(self) -> dict[str, Any]:
        """See `Trainer.facts`."""
        teacher = {"name": self._teacher.name, "fingerprint": self._teacher.fingerprint}
        return {"left_out": list(self._left_out.values()), "teacher": teacher}

    def _teacher_without(self, left_out: Sequence[str]) -> Model:
        teacher = self._teacher.without(left_out) if left_out else self._teacher
        if teacher is None:
            raise InputError(
                f"every network of the teacher {self._teacher.name} has seen some of {', '.join(left_out)}: "
                "take the folds of the teacher, or none (folds: 0)"
            )
        return teacher
