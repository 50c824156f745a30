"""From CaImAn's estimates to raw traces and background, or dF/F; and where the components lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_adapters.containers.base import Reading, Rois, Traces
from cascade_adapters.containers.caiman.fields import Fields, matrix_of
from cascade_adapters.containers.caiman.hashes import digest
from cascade_adapters.containers.caiman.raw_traces import (
    DFF,
    RawTraces,
    counts_per_component,
    footprints_of,
    read_background,
)
from cascade_adapters.containers.frame_rates import doubts_about_rate
from cascade_adapters.containers.stored_dff import why_no_dff
from cascade_adapters.results.rows import ComputedRows, Rows
from cascade_engine.errors import InputError
from cascade_engine.signal.noise import as_frame_rate

#: CaImAn's defaults: frame rate (Hz), and decay time (s) and size of a pixel (um), which are set with it.
DEFAULT_RATE = {30.0: "CaImAn's default"}
_DEFAULTS = {"decay_time": 0.4, "dxy": 1.0}

#: Where the size of the image may be found.
_DIMS = (("estimates", "dims"), ("dims",), ("params", "data", "dims"))


def read_traces(fields: Fields, reading: Reading = Reading()) -> Traces:
    """Raw traces of all components and their background, or dF/F.

    Parameters
    ----------
    fields : Fields
        The result.
    reading : Reading
        What the user says about it.

    Returns
    -------
    Traces
        ``F_dff`` where it is the dF/F of the raw traces, else raw traces and background.

    Raises
    ------
    InputError
        If something needed is missing or does not fit together: what, and what to do.
    """
    raw = RawTraces(fields)
    remarks = []
    if raw.n_late:
        remarks.append(f"{raw.n_late} components have no trace before they were found (OnACID): no prediction there")
    rate, rate_source = _frame_rate(fields, reading.frame_rate, remarks)
    n_components, n_frames = raw.values.shape
    background = read_background(fields, (n_components, n_frames))
    facts: dict[str, Any] = {
        "frame_rate": rate,
        "frame_rate_source": rate_source,
        "is_cell": _accepted(fields, n_components, remarks),
        "cell_probability": _probabilities(fields, n_components),
        "remarks": remarks,
        "hashes": raw.hashes,
    }
    if reading.arbitrary_units:
        return Traces(fluorescence=raw.values, source=raw.source, **facts)
    if background is None:
        stored = "" if fields.get("estimates", "F_dff") is None else ", and F_dff is only detrended"
        raise InputError(
            f"{fields.where} has no background b and f, as one-photon results (CNMF-E): no dF/F can be had"
            f"{stored}; pass --arbitrary-units to go on without"
        )
    if _is_one_photon(fields):
        remarks.append("one-photon data: the background holds light from elsewhere, so that dF/F is too small")
    if reading.dff != "compute":
        stored, problem = _stored_dff(fields, raw, background)
        if not problem:
            dff = ComputedRows(stored.shape, lambda rows: np.asarray(stored[rows], dtype=np.float32))
            facts["hashes"] = lambda: {**raw.hashes(), DFF: digest(stored)}
            return Traces(dff=dff, source=DFF, **facts)
        if reading.dff == "container":
            raise InputError(f"{fields.where}: F_dff cannot be used: {problem}; leave out --dff container")
        if stored is not None:
            remarks.append(f"F_dff was not used: {problem}")
    source = f"{raw.source}, background b f"
    per_count = counts_per_component(fields)
    return Traces(fluorescence=raw.values, background=background, per_count=per_count, source=source, **facts)


def read_rois(fields: Fields) -> Rois | None:
    """Where the components lie; None without their footprints or the size of the image."""
    footprints = footprints_of(fields)
    dims = _dims(fields)
    if footprints is None or dims is None:
        return None
    image_shape = tuple(int(length) for length in dims)
    if len(image_shape) not in (2, 3) or np.prod(image_shape) != footprints.shape[0]:
        return None
    pixels, weights = [], []
    for start, end in zip(footprints.indptr[:-1], footprints.indptr[1:], strict=True):
        # CaImAn counts pixels down the columns of the image
        pixels.append(np.stack(np.unravel_index(footprints.indices[start:end], image_shape, order="F"), axis=1))
        weights.append(footprints.data[start:end].astype(np.float32))
    return Rois(image_shape, pixels, weights)


def _dims(fields: Fields) -> np.ndarray | None:
    """Size of the image, or of the volume, in pixels."""
    return next((found for path in _DIMS if (found := _numbers(fields.get(*path))) is not None), None)


def _stored_dff(fields: Fields, raw: RawTraces, background: Rows) -> tuple[Any, str]:
    """F_dff, and why it cannot be used, or an empty string."""
    try:
        stored = matrix_of(fields, DFF)
    except InputError:
        return (), "it is no matrix of numbers"
    if stored is None:
        return None, "there is none; run cnm.estimates.detrend_df_f() in CaImAn"
    if raw.n_late:
        return stored, "its baseline counts frames in which components have no trace"
    return stored, why_no_dff(stored, raw.values, background)


def _frame_rate(fields: Fields, given: float | None, remarks: list[str]) -> tuple[float, str]:
    if given is not None:
        return as_frame_rate(given), "given"
    found = fields.get("params", "data", "fr")
    if found is None:
        raise InputError(f"{fields.where} has no frame rate (params/data/fr): pass --frame-rate")
    numbers = _numbers(found)
    if numbers is None or len(numbers) != 1 or not 0 < numbers[0] < np.inf:
        raise InputError(f"{fields.where} has the frame rate {_brief(found)} (params/data/fr): pass --frame-rate")
    rate = float(numbers[0])
    dims = _dims(fields)
    n_planes = int(dims[2]) if dims is not None and len(dims) == 3 else None
    defaults = None if _parameters_were_set(fields) else DEFAULT_RATE
    remarks += doubts_about_rate(rate, "params/data/fr", defaults, n_planes)
    return rate, "params/data/fr"


def _parameters_were_set(fields: Fields) -> bool:
    """Whether somebody has set what goes with the frame rate: then it is no default either."""
    for name, default in _DEFAULTS.items():
        numbers = _numbers(fields.get("params", "data", name))
        if numbers is not None and (numbers != default).any():
            return True
    return False


def _accepted(fields: Fields, n_components: int, remarks: list[str]) -> np.ndarray | None:
    """Which components CaImAn has accepted, or None if it has not judged them."""
    found = fields.get("estimates", "idx_components")
    if found is None:
        return None
    numbers = _numbers(found)
    if numbers is None or (numbers % 1 != 0).any() or (numbers < 0).any() or (numbers >= n_components).any():
        remarks.append(f"idx_components does not fit the {n_components} components and was ignored")
        return None
    accepted = np.zeros(n_components, dtype=bool)
    accepted[numbers.astype(int)] = True
    return accepted


def _probabilities(fields: Fields, n_components: int) -> np.ndarray | None:
    """What CaImAn's classifier of footprints gave, or None if it was not asked."""
    numbers = _numbers(fields.get("estimates", "cnn_preds"))
    fits = numbers is not None and len(numbers) == n_components and ((numbers >= 0) & (numbers <= 1)).all()
    return numbers if fits else None


def _is_one_photon(fields: Fields) -> bool:
    center_psf = _numbers(fields.get("params", "init", "center_psf"))
    return center_psf is not None and bool(center_psf.any())


def _numbers(found: Any) -> np.ndarray | None:
    """Real numbers as a flat array, or None."""
    if found is None or isinstance(found, dict | str):
        return None
    values = np.asarray(found[:] if hasattr(found, "chunks") else found)
    return values.astype(float).ravel() if values.dtype.kind in "fiub" else None


def _brief(found: Any) -> str:
    text = repr(found[:] if hasattr(found, "chunks") else found)
    return text if len(text) <= 40 else f"{text[:40]}..."
