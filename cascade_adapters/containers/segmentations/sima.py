"""SIMA: a folder of pickles, read without SIMA and without running anything that they ask for.

SIMA itself is not needed, and cannot be installed beside a current Python. Its ``raw`` signals are the fluorescence of
each ROI divided by its mean over time, one array (ROIs x frames) per sequence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Reading, Rois, Selection, Traces
from cascade_adapters.containers.segmentations.source import SegmentationSource
from cascade_adapters.safe_writing.beside import FilesBeside
from cascade_engine.errors import InputError
from cascade_engine.file_formats.safe_pickle import Placeholder, load_pickle


class SimaFolder(SegmentationSource):
    """A folder ``*.sima`` with extracted signals.

    Parameters
    ----------
    path : Path
        The folder.
    channel : {1, 2}
        Channel whose signals are used: 1 is SIMA's 0. Results of channel 2 lie in ``name_chan2_cascade.npz``.
    label : str, optional
        Which extraction, if there are several.
    """

    kind = "SIMA"
    uses = ("channel", "key")
    looks_for = "folders *.sima with signals_0.pkl, or signals_1.pkl for channel 2"

    def __init__(self, path: Path, channel: int = 1, label: str | None = None):
        super().__init__(path)
        self._channel, self._label = channel, label
        if channel == 2:
            self._npz = f"{self.path.stem}_chan2_cascade"
            self._beside = FilesBeside(self.path, f"{self._npz}.npz.json")

    @property
    def identity(self) -> tuple:
        """Kind, folder, channel and extraction."""
        return (*super().identity, self._channel, self._label)

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether the folder is called as SIMA calls it and has its files."""
        names = ("signals_*.pkl", "sequences.pkl")
        return path.absolute().suffix == ".sima" and any(file for name in names for file in path.glob(name))

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[SegmentationSource]:
        """The folder itself, for the selected channel."""
        channels = (1, 2) if selection.channel is None else (selection.channel,)
        return [cls(path, channel, selection.key) for channel in channels if cls.matches(path)]

    def sources(self) -> list[Path]:
        """The file of the channel's signals."""
        return [self.path / f"signals_{self._channel - 1}.pkl"]

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the signals; see `Container.read`."""
        (file,), signals = self.sources(), self._signals()
        raw = signals.get("raw")
        if not isinstance(raw, list | tuple) or not raw or not all(_is_matrix(sequence) for sequence in raw):
            raise InputError(f"{file} holds no raw signals of ROIs x frames")
        if len({len(sequence) for sequence in raw}) > 1:
            raise InputError(f"{file}: the sequences have different numbers of ROIs")
        rate = self.given_frame_rate(reading)
        segments = [sequence.shape[1] for sequence in raw] if len(raw) > 1 else None
        values = np.concatenate([np.asarray(sequence, dtype=np.float32) for sequence in raw], axis=1)
        return self.traces_of(values, "raw", reading, rate, f"raw of {file.name}", segments=segments)

    def rois(self) -> Rois | None:
        """Where the ROIs lie, if SIMA holds them as masks; see `Container.rois`."""
        found = self._signals().get("rois")
        if found is None:
            return None
        try:
            masks = [[_mask(plane) for plane in roi["mask"]] for roi in found]
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
        shapes = {shape for roi in masks for shape, _, _ in roi}
        depths = {len(roi) for roi in masks}
        if len(shapes) != 1 or len(depths) != 1:
            return None
        (shape,), (depth,) = shapes, depths
        pixels, weights = [], []
        for roi in masks:
            places = [np.insert(place, 2, plane, axis=1) for plane, (_, place, _) in enumerate(roi)]
            place = np.concatenate(places)
            pixels.append(place if depth > 1 else place[:, :2])
            weights.append(np.concatenate([weight for _, _, weight in roi]))
        return Rois((*shape, depth) if depth > 1 else shape, pixels, weights)

    def _signals(self) -> dict[str, Any]:
        (file,) = self.sources()
        if not file.is_file():
            raise InputError(
                f"{self.path} has no {file.name}: extract signals in SIMA first, or pass another --channel"
            )
        content = load_pickle(file)
        extractions = {str(label): signals for label, signals in content.items()} if isinstance(content, dict) else {}
        label = self._label
        if label is None and len(extractions) > 1 and (record := self.remembered()) is not None:
            label = record.asked.get("key")
        if label is not None and label not in extractions:
            raise InputError(f"{file} has no extraction {label!r}; it has {', '.join(extractions) or 'none'}")
        if label is None and len(extractions) > 1:
            raise InputError(f"{file} holds the extractions {', '.join(extractions)}: pass --key to say which")
        chosen = extractions.get(label) if label is not None else next(iter(extractions.values()), None)
        if not isinstance(chosen, dict):
            raise InputError(f"{file} holds no extracted signals")
        return chosen


def _is_matrix(sequence: Any) -> bool:
    return (
        isinstance(sequence, np.ndarray) and sequence.ndim == 2 and sequence.size > 0 and sequence.dtype.kind in "fiu"
    )


def _mask(plane: Any) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Shape, pixels and weights of one plane of a mask: a sparse matrix by rows, which was not rebuilt, or an array."""
    if isinstance(plane, np.ndarray):
        place = np.argwhere(plane > 0)
        return plane.shape, place, plane[tuple(place.T)].astype(np.float32)
    if not isinstance(plane, Placeholder):
        raise TypeError(type(plane))
    state = plane.state
    shape = tuple(int(length) for length in state.get("_shape", state.get("shape")))
    rows = state["rows"]
    place = np.array([(row, column) for row, entries in enumerate(rows) for column in entries], dtype=int).reshape(
        -1, 2
    )
    weights = np.array([value for entries in state["data"] for value in entries], dtype=np.float32)
    if len(weights) != len(place) or len(shape) != 2:
        raise ValueError(shape)
    return shape, place, weights
