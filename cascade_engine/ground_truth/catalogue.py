"""The catalogue of public datasets: what each one is and whom to cite."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from cascade_engine.file_formats.yaml_text import parse_yaml


@dataclass(frozen=True)
class CatalogueEntry:
    """One public dataset.

    Attributes
    ----------
    key : str
        Its number, e.g. ``"DS09"``.
    folder : str
        Name of its folder in the public database.
    indicator, species, area, cell_type : str
        What was recorded.
    delivery, construct : str or None
        How the indicator came into the cells.
    n_neurons : int or None
        Neurons in the public database.
    native_rate_hz : list of float or None
        Lowest and highest frame rate in Hz.
    noise_level : list of float or None
        10th, 50th and 90th percentile over neurons in percent per sqrt(Hz), as it was recorded.
    clock_offset_s : float or None
        When fluorescence starts to rise, in s from the true spike (`cascade_engine.ground_truth.clocks`).
    single_spike_dff : float or None
        dF/F (fraction) of one spike (`cascade_engine.ground_truth.single_spikes`), median over neurons.
    citation : dict or None
        Text and DOI of the publication to cite, where known for sure.
    note : str or None
        What a user must know.
    shared_recordings : list of str
        Keys of the datasets that hold some of the same recordings.
    """

    key: str
    folder: str
    indicator: str
    species: str
    area: str
    cell_type: str
    delivery: str | None = None
    construct: str | None = None
    n_neurons: int | None = None
    native_rate_hz: list[float] | None = None
    noise_level: list[float] | None = None
    clock_offset_s: float | None = None
    single_spike_dff: float | None = None
    citation: dict | None = None
    note: str | None = None
    shared_recordings: list[str] = field(default_factory=list)


@cache
def _registry() -> dict:
    return parse_yaml(resources.files("cascade_ground_truth").joinpath("registry.yaml").read_text("utf-8"))


def load_catalogue() -> dict[str, CatalogueEntry]:
    """All public datasets by key (``"DS01"``, ...)."""
    return {key: CatalogueEntry(key=key, **entry) for key, entry in _registry()["datasets"].items()}


def public_source() -> dict:
    """Where the public database lies: repository, folder, ref, licence, citation."""
    return _registry()["source"]
