"""What every family of networks offers, and what runs a model of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.networks.configuration import Configuration
from cascade_engine.networks.settings import Settings

if TYPE_CHECKING:
    from cascade_engine.ground_truth.records import Dataset
    from cascade_engine.networks.store import Model
    from cascade_engine.networks.training_loop import Trainer

#: Frame rate (Hz) of most recordings.
_USUAL_FRAME_RATE = 30.0

#: Called with the number of frames that have been predicted since the last call.
Progress = Callable[[int], object]


class Predictor(Protocol):
    """A model opened for a frame rate and settings; it predicts block after block of neurons.

    Attributes
    ----------
    model : Model
        The model.
    frame_rate : float
        In Hz.
    settings : Settings
        Resolved: nothing that the model needs is left open.
    shortest : int
        Frames that a segment needs to be predicted.
    """

    model: Model
    frame_rate: float
    settings: Settings
    shortest: int

    def predict(
        self,
        dff: np.ndarray,
        noise_levels: np.ndarray,
        segments: Sequence[slice],
        n_threads: int,
        progress: Progress,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict.

        Parameters
        ----------
        dff : array, shape (n_neurons, n_frames)
            dF/F as a fraction.
        noise_levels : array, shape (n_neurons,)
            Noise level in percent per sqrt(Hz) that is assumed; NaN for neurons that are not predicted.
        segments : sequence of slice
            Uninterrupted segments.
        n_threads : int
            Threads.
        progress : callable
            Called with the number of frames that were predicted since the last call.

        Returns
        -------
        spike_prob : array, shape (n_neurons, n_frames), float32
            Expected spikes per frame, not clipped; NaN where there is no prediction.
        network_noise_levels : array, shape (n_neurons,)
            Noise level that the networks used for each neuron were trained for, or were given.
        """
        ...

    def edge_frames(self, segments: Sequence[slice]) -> np.ndarray:
        """Numbers of the frames at the ends of segments that cannot be predicted."""
        ...


class Family(ABC):
    """A family of networks: all that differs from one to another.

    Another family is a subclass, listed in `cascade_engine.networks.families`.
    """

    #: Name of the family, as cards and records state it.
    name: ClassVar[str]

    #: The configuration of its models.
    config: ClassVar[type[Configuration]]

    @abstractmethod
    def noise_levels(self, model: Model) -> np.ndarray:
        """Noise levels (percent per sqrt(Hz)) that a model has networks for, ascending; or its range."""

    @abstractmethod
    def resolve(self, model: Model, settings: Settings, frame_rate: float, container_indicator: str | None) -> Settings:
        """Settings with nothing that the model needs left open; refuses (`InputError`) what it cannot do."""

    @abstractmethod
    def open(self, model: Model, frame_rate: float, settings: Settings) -> Predictor:
        """A predictor for resolved settings."""

    def describe(self, model: Model) -> str:
        """A model in a few words: frame rates, smoothing, noise levels."""
        return f"{self.name} family, noise levels up to {self.noise_levels(model).max():g}"

    def indicators(self, model: Model) -> list[str]:
        """Names of the calcium indicators that a model can be told."""
        return []

    def not_for(self, model: Model) -> list[str]:
        """When not to use a model, one line each."""
        return [
            "traces that were smoothed, denoised or resampled: it judges them by their noise",
            "recordings while they run: it looks at frames on either side of the one that it predicts",
        ]

    def settings_to_judge(self, model: Model, dataset: str, asked: Settings, noise_level: float) -> Settings:
        """Settings for an evaluation on a dataset (folder name) that asks for a smoothing and kernel.

        A model that can be set to the smoothing finds the noise level itself; one that cannot is given the noise level
        (percent per sqrt(Hz)).
        """
        return asked

    def usual_frame_rate(self, model: Model) -> float:
        """Frame rate (Hz) at which a model is judged where nothing else is said."""
        return _USUAL_FRAME_RATE

    def evaluation_rate(self, model: Model) -> float | None:
        """The only frame rate (Hz) at which a model can be evaluated; None if there are many."""
        return None

    def trainer(self, config: Any, datasets: Sequence[Dataset], transfer: Model | None = None) -> Trainer:
        """What trains a model with `cascade_engine.networks.training_loop.train_model`.

        Parameters
        ----------
        config : Configuration
            What to train.
        datasets : sequence of Dataset
            Ground truth.
        transfer : Model, optional
            A model of the same family whose weights to start from; refused (`InputError`) where that is not possible.
        """
        raise InputError(f"models of the {self.name} family cannot be trained here")
