"""Sessions to be converted: suite2p folders with masks, and a container that gives whatever a test wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.cli import main
from cascade_adapters.containers.base import Container, Reading, Rois, Selection, Traces
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.results import Record, Results
from cascade_engine.errors import InputError
from tests.builders.running import made_up_record, made_up_results, run_one
from tests.builders.suite2p_folders import change_settings, make_plane, save_settings

IMAGE_SHAPE = (40, 24)

ARRAYS = ("F", "Fneu", "dff", "spike_prob", "noise_levels")


def make_session(root: Path, n_planes: int = 1, model: Any = None, **options: Any) -> Path:
    """A suite2p folder with masks and the size of the image; with a model, also with results."""
    for number in range(n_planes):
        folder = make_plane(root / f"plane{number}", seed=number, **{"n_frames": 400, **options}).folder
        n_rois = len(np.load(folder / "F.npy"))
        save_settings(folder / "stat.npy", make_masks(n_rois, seed=number))
        if (folder / "ops.npy").is_file():
            change_settings(folder, Ly=IMAGE_SHAPE[0], Lx=IMAGE_SHAPE[1])
        if model is not None:
            run_one(Suite2pPlane(folder), model=str(model.folder))
    return root


def make_masks(n_rois: int, seed: int = 0) -> np.ndarray:
    """Records of ``stat.npy``; neighbours overlap, and the last ROI has a single pixel."""
    rng = np.random.default_rng(seed)
    records = np.empty(n_rois, dtype=object)
    for roi in range(n_rois):
        rows, columns = np.mgrid[2 * roi : 2 * roi + 4, 3:8].reshape(2, -1)[:, : 1 if roi == n_rois - 1 else None]
        lam = rng.uniform(0.1, 1.0, len(rows)).astype(np.float32)
        records[roi] = {"ypix": rows, "xpix": columns, "lam": lam, "med": [int(rows.mean()), 5], "npix": len(rows)}
    return records


class Given(Container):
    """A container that has what it is given; see `cascade_adapters.containers.base`."""

    kind = "given"
    looks_for = "nothing on disk"

    def __init__(
        self,
        path: Path = Path("given"),
        traces: dict[str, Traces] | None = None,
        results: Results | None = None,
        rois: Rois | None = None,
    ):
        super().__init__(path)
        self.given_traces, self.given_results, self.given_rois = traces or {}, results, rois

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[Given]:
        return []

    def read(self, reading: Reading = Reading()) -> Traces:
        wanted = next(iter(self.given_traces)) if reading.dff == "auto" else reading.dff
        if wanted not in self.given_traces:
            raise InputError(f"no {wanted}")
        return self.given_traces[wanted]

    def fingerprint(self) -> dict[str, str]:
        return {}

    def record(self) -> Record | None:
        return None if self.given_results is None else self.given_results.record

    def results(self) -> Results | None:
        return self.given_results

    def rois(self) -> Rois | None:
        return self.given_rois

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        raise AssertionError("a source is never written to")

    def restore(self) -> list[str]:
        raise AssertionError("a source is never written to")


def raw_traces(n_rois: int = 4, n_frames: int = 300, seed: int = 0, **details: Any) -> Traces:
    """Raw fluorescence."""
    values = 100.0 + np.random.default_rng(seed).standard_normal((n_rois, n_frames)).astype(np.float32)
    known = {"fluorescence": values, "frame_rate": 20.0, "frame_rate_source": "test", "source": "raw"}
    return Traces(**{**known, **details})


def dff_traces(n_rois: int = 4, n_frames: int = 300, seed: int = 1, **details: Any) -> Traces:
    """dF/F as a fraction."""
    values = 0.05 * np.random.default_rng(seed).standard_normal((n_rois, n_frames)).astype(np.float32)
    return Traces(**{"dff": values, "frame_rate": 20.0, "frame_rate_source": "test", "source": "own dF/F", **details})


def results(n_rois: int = 4, n_frames: int = 300, seed: int = 2) -> Results:
    """Results with the least of a record."""
    rng = np.random.default_rng(seed)
    spike_prob, dff = rng.random((2, n_rois, n_frames)).astype(np.float32)
    spike_prob[:, :32] = np.nan
    return made_up_results(
        spike_prob, dff, rng.random(n_rois), made_up_record(n_rois, n_frames, frame_rate=20.0, note="own")
    )


def give(monkeypatch, container: Given) -> None:
    """Let `read_session` find this container, whatever the path."""
    monkeypatch.setattr("cascade_adapters.convert.session.find_containers", lambda path, selection: [container])


def stored(plane: Path) -> dict[str, np.ndarray]:
    """The arrays of a suite2p plane, by the names that the conversion gives them."""
    names = {name: name if name in ("F", "Fneu") else f"cascade_{name}" for name in ARRAYS}
    return {name: np.load(plane / f"{file}.npy") for name, file in names.items()}


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Run the command; returns its exit status, output and error output."""
    status = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code or 0
    return status, *capsys.readouterr()


def assert_same_rois(found: Rois, expected: Rois) -> None:
    assert found.image_shape == expected.image_shape
    for (place, weight), (expected_place, expected_weight) in zip(
        zip(found.pixels, found.weights, strict=True), zip(expected.pixels, expected.weights, strict=True), strict=True
    ):
        np.testing.assert_array_equal(place, expected_place)
        np.testing.assert_array_equal(weight, expected_weight)
