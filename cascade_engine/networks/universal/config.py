"""The configuration of a universal model and of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cascade_engine.declared import checked_number
from cascade_engine.errors import InputError
from cascade_engine.networks.configuration import Configuration
from cascade_engine.signal.noise import FRAME_RATE_HINT, FRAME_RATE_LIMITS

#: Lowest noise level that the network is given, as a part of the lowest noise level in training.
_LEAST_NOISE = 0.4


@dataclass(frozen=True)
class UniversalConfig(Configuration):
    """Everything that defines a universal model and its training.

    Attributes
    ----------
    model_name : str
        Name of the model and of its folder.
    training_datasets : tuple of str
        Folder names of the ground truth to train on.
    interneuron_datasets : tuple of str
        Those of them whose neurons are interneurons; the network is given this.
    frame_rates : tuple of float
        Frame rates (Hz) to which the ground truth is resampled; the model interpolates between them.
    rate_weights : tuple of float
        How often each of them is drawn, in proportion; empty: all alike.
    noise_range : tuple of two float
        Lowest and highest noise level (percent per sqrt(Hz)) of the training.
    native_share : float
        Part of the crops to which no noise is added.
    disturbed_share : float
        Part of the crops into which disturbances are put: movement, black frames, flashes and others.
    simulated_disturbed_share : float
        The same, for the networks that are trained on simulated neurons.
    silent_share : float
        Part of the crops of recordings that are replaced by noise alone, without spikes. No recorded neuron is silent,
        so a network never learns from them what noise without spikes looks like. Simulated neurons need none of it.
    computed_dff_share : float
        How often the dF/F that users get, computed from raw fluorescence and neuropil, takes the place of the published
        one, for neurons whose raw fluorescence there is (`cascade_engine.ground_truth.raw_fluorescence`).
    dataset_power : float
        Datasets are drawn in proportion to their length to this power: 0 all alike, 1 by length.
    interneuron_weight : float
        Factor by which datasets of interneurons are drawn more or less often.
    channels : tuple of int
        Features at each resolution, from single frames to ``2 ** (len(channels) - 1)`` frames.
    context_channels : tuple of int
        Features of the layers that look at the whole trace.
    context_size : int
        Numbers that describe a neuron.
    smoothings_frames : tuple of float
        Widths (standard deviation in frames) of the Gaussians at which prediction and spikes are compared.
    correlation_weight : float
        Weight of the second term of the loss: how far each crop is from perfect correlation.
    rate_jitter : float
        Standard deviation of the natural logarithm by which the stated frame rate is off in training.
    steps : int
        Training steps per network.
    frames_per_step : int
        Frames of one training step.
    crop_s : float
        Shortest length of the crops in s, up to 2048 frames.
    learning_rate : float
        Highest learning rate of Adam; it rises for `warmup_steps` and falls along half a cosine.
    warmup_steps : int
        Steps with a rising learning rate.
    averaging : float
        Momentum of the moving average over weights that is kept at the end.
    ensemble_size : int
        Networks that are trained on ground truth.
    folds : int
        Parts into which the datasets are dealt. Network k is trained without part ``k % folds``, so that every dataset
        has networks that have not seen it, by which the model can be judged. 0: every network sees everything.
    simulated_networks : int
        Further networks, trained on simulated neurons alone: the number of spikes is a mean of what both kinds find.
    simulated_datasets : int
        Simulated datasets, of a dozen neurons each, for these.
    gain : float
        Factor of the number of spikes, chosen on datasets that the networks have not seen.
    seed : int
        Seed of weights, batches, simulation and noise.
    """

    family: ClassVar[str] = "universal"

    model_name: str
    training_datasets: tuple[str, ...]
    interneuron_datasets: tuple[str, ...] = ()
    frame_rates: tuple[float, ...] = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 40, 60, 100, 200)
    rate_weights: tuple[float, ...] = ()
    noise_range: tuple[float, ...] = (0.5, 10.0)
    native_share: float = 0.2
    disturbed_share: float = 0.0
    simulated_disturbed_share: float = 0.0
    silent_share: float = 0.0
    computed_dff_share: float = 0.0
    dataset_power: float = 0.5
    interneuron_weight: float = 1.0
    channels: tuple[int, ...] = (24, 32, 48, 64, 64)
    context_channels: tuple[int, ...] = (16, 32, 32)
    context_size: int = 32
    smoothings_frames: tuple[float, ...] = (0.6, 1.0, 2.0, 4.0)
    correlation_weight: float = 1.0
    rate_jitter: float = 0.1
    steps: int = 4000
    frames_per_step: int = 16384
    crop_s: float = 60.0
    learning_rate: float = 0.0015
    warmup_steps: int = 300
    averaging: float = 0.999
    ensemble_size: int = 3
    folds: int = 0
    simulated_networks: int = 0
    simulated_datasets: int = 40
    gain: float = 1.0
    seed: int = 0

    @property
    def _most_folds(self) -> int:
        """Networks of which each can be trained without a part of the datasets."""
        return self.ensemble_size

    @property
    def stride(self) -> int:
        """Frames of the coarsest resolution; every input is a whole number of these."""
        return 2 ** (max(len(self.channels), len(self.context_channels) + 1) - 1)

    @property
    def least_noise_level(self) -> float:
        """Lower noise levels (percent per sqrt(Hz)) are raised to this: they are measured in traces that were
        interpolated or filtered, and say nothing about the true noise."""
        return _LEAST_NOISE * min(self.noise_range)

    def crop_frames(self, frame_rate: float) -> int:
        """Frames of a training crop at `frame_rate` (Hz); few lengths, since networks are compiled for each."""
        wanted = self.crop_s * frame_rate
        return next((length for length in (128, 512) if length >= wanted), 2048)

    def doubt_about_rate(self, frame_rate: float) -> str:
        """Why the model should not be used at `frame_rate` (Hz); empty if it may."""
        low, high = min(self.frame_rates), max(self.frame_rates)
        if 0.9 * low <= frame_rate <= 1.1 * high:
            return ""
        return f"the frame rate is {frame_rate:g} Hz, but model {self.model_name} knows {low:g} to {high:g} Hz"

    def _check(self, source: str) -> None:
        for key in ("context_size", "steps", "frames_per_step", "crop_s", "learning_rate", "ensemble_size", "gain"):
            if not getattr(self, key) > 0:
                raise InputError(f"{source}: {key} must be above zero, but it is {getattr(self, key)}")
        for key in ("frame_rates", "noise_range", "channels", "context_channels", "smoothings_frames"):
            values = getattr(self, key)
            if not values or min(values) <= 0:
                raise InputError(f"{source}: {key} must be positive numbers, but it is {list(values)}")
        for rate in self.frame_rates:
            checked_number(f"{source}: each of frame_rates", rate, FRAME_RATE_LIMITS, "Hz", FRAME_RATE_HINT)
        if len(self.noise_range) != 2 or self.noise_range[0] > self.noise_range[1]:
            raise InputError(
                f"{source}: noise_range must be a lowest and a highest level, but it is {self.noise_range}"
            )
        if self.folds < 0 or self.folds == 1 or self.folds > min(self._most_folds, len(self.training_datasets)):
            raise InputError(
                f"{source}: folds must be 0, or from 2 to the number of networks and datasets, but it is {self.folds}"
            )
        if self.rate_weights and (len(self.rate_weights) != len(self.frame_rates) or min(self.rate_weights) <= 0):
            raise InputError(f"{source}: rate_weights must be one positive number for each of frame_rates")
        if self.simulated_networks < 0 or self.simulated_datasets < 1:
            raise InputError(f"{source}: simulated_networks must be at least 0, and simulated_datasets at least 1")
        if self.correlation_weight < 0:
            raise InputError(f"{source}: correlation_weight must not be negative, but it is {self.correlation_weight}")
        shares = (
            "native_share", "disturbed_share", "simulated_disturbed_share", "silent_share", "computed_dff_share",
        )  # fmt: skip
        for key in shares:
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"{source}: {key} must lie between 0 and 1, but it is {getattr(self, key)}")
        if not 0 <= self.averaging < 1:
            raise InputError(f"{source}: averaging must be at least 0 and below 1, but it is {self.averaging}")
