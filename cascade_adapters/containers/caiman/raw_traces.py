"""Raw traces and background of CaImAn's components, read some components at a time.

CaImAn splits the movie into components A C, background b f, and what remains. The raw trace of a component is
``C + YrA``, in units of its column of A; the background under it is ``A' b f``, which has the same unit once it is
divided by the squared norm of that column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cascade_adapters.containers.caiman.fields import Fields, matrix_of
from cascade_adapters.containers.caiman.hashes import RowsDigest, digest
from cascade_adapters.results.rows import ComputedRows, Rows, row_blocks
from cascade_engine.errors import InputError


class RawTraces:
    """Raw traces of all components, and the hashes of what they are made from.

    Parameters
    ----------
    fields : Fields
        The result.

    Attributes
    ----------
    values : array-like, shape (n_components, n_frames), float32
        C + YrA, read when rows are asked for; NaN where OnACID had not found a component yet, which it stores as zeros.
    source : str
        Where they come from.
    n_late : int
        Components that have no trace in the beginning.

    Raises
    ------
    InputError
        If there are no traces, or only denoised ones.
    """

    def __init__(self, fields: Fields):
        self._components, self._residual, self._name = _parts(fields)
        self._digests = {"C": RowsDigest(self._components), self._name: RowsDigest(self._residual)}
        self._others = _hashes_of_background(fields)
        self.source = "noisyC" if self._name == "noisyC" else f"C + {self._name}"
        self.values = ComputedRows(self._components.shape, self._read)
        self.n_late = self._count_late()

    def hashes(self) -> dict[str, str]:
        """What `fingerprint` gives; rows that were read in order are not read again."""
        return {name: each.finish() for name, each in self._digests.items()} | self._others

    def _read(self, rows: slice) -> np.ndarray:
        ours, theirs = np.asarray(self._components[rows]), np.asarray(self._residual[rows])
        self._digests["C"].take(rows.start, ours)
        self._digests[self._name].take(rows.start, theirs)
        with np.errstate(over="ignore", invalid="ignore"):
            traces = (ours + theirs).astype(np.float32)
        present = (ours != 0) | (theirs != 0)
        for row in np.flatnonzero(~present[:, :2].any(axis=1) & present.any(axis=1)):
            traces[row, : present[row].argmax()] = np.nan
        return traces

    def _count_late(self) -> int:
        """Components whose trace begins with zeros; not those that are silent throughout, or zero once by chance."""
        both = (self._components, self._residual)
        begin, end = (
            np.any([np.asarray(values[:, columns]) != 0 for values in both], axis=(0, 2))
            for columns in (slice(0, 2), slice(-1, None))
        )
        silent_at_both = np.flatnonzero(~begin & ~end)
        n_silent = sum(not any(np.any(values[int(row)]) for values in both) for row in silent_at_both)
        return int(np.count_nonzero(~begin)) - n_silent


def read_background(fields: Fields, shape: tuple[int, int]) -> Rows | None:
    """Background under each component.

    Parameters
    ----------
    fields : Fields
        The result.
    shape : tuple of int
        Numbers of components and frames.

    Returns
    -------
    array-like, shape (n_components, n_frames), float32, or None
        In units of the raw traces; None for results that have none.

    Raises
    ------
    InputError
        If footprints, background and traces do not fit together.
    """
    spatial, temporal = matrix_of(fields, "b"), matrix_of(fields, "f")
    if spatial is None or temporal is None:
        return None
    footprints = footprints_of(fields)
    if footprints is None:
        raise InputError(f"{fields.where} has no estimates/A: what part of the background a component has is not known")
    shapes = (footprints.shape, spatial.shape, shape, temporal.shape)
    (n_pixels, n_components), (n_pixels_b, n_background), _, (n_background_f, n_frames) = shapes
    if (n_components, n_frames) != shape or n_pixels != n_pixels_b or n_background != n_background_f:
        found = ", ".join(f"{name} {tuple(lengths)}" for name, lengths in zip("AbCf", shapes, strict=True))
        raise InputError(f"{fields.where}: estimates do not fit together: {found}; they must come from the same run")
    norms = np.asarray(footprints.multiply(footprints).sum(axis=0), dtype=float).ravel()
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        weights = (footprints.T @ np.asarray(spatial[:], dtype=float)) / norms[:, np.newaxis]
        weights, times = weights.astype(np.float32), np.asarray(temporal[:], dtype=np.float32)

    def compute(rows: slice) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return weights[rows] @ times

    background = ComputedRows(shape, compute)
    return background if any(background[rows].any() for rows in row_blocks(*shape)) else None


def counts_per_component(fields: Fields) -> np.ndarray | None:
    """What one count in each pixel adds to the background of each component, in units of its raw trace."""
    footprints = footprints_of(fields)
    if footprints is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sums, norms = (np.asarray(each.sum(axis=0), dtype=float).ravel() for each in (footprints, footprints.power(2)))
        return np.asarray(sums / norms, dtype=np.float32)


#: Its hash is in a record only if spikes were inferred from it.
DFF = "F_dff"


def fingerprint(fields: Fields) -> dict[str, str]:
    """SHA-256 of raw traces, background and dF/F; the same for a result in memory and saved.

    Parameters
    ----------
    fields : Fields
        The result.

    Returns
    -------
    dict of str to str
        By field.
    """
    components, residual, name = _parts(fields)
    raw = {"C": digest(components), name: digest(residual)} | _hashes_of_background(fields)
    try:
        dff = matrix_of(fields, DFF)
    except InputError:  # no matrix of numbers: nothing is inferred from it
        dff = None
    return raw if dff is None else raw | {DFF: digest(dff)}


def is_made_from(fields: Fields, hashes: Mapping[str, str]) -> bool:
    """Whether the traces are those with the hashes that a record holds."""
    return hashes == {name: each for name, each in fingerprint(fields).items() if name != DFF or DFF in hashes}


def shape_of(fields: Fields) -> tuple[int, int]:
    """Numbers of components and frames."""
    n_components, n_frames = _parts(fields)[0].shape
    return int(n_components), int(n_frames)


def footprints_of(fields: Fields) -> Any:
    """A as a sparse matrix by columns, of shape (n_pixels, n_components), or None; `InputError` if it is damaged."""
    from scipy.sparse import csc_matrix

    found = fields.get("estimates", "A")
    if found is None or isinstance(found, dict):
        return None
    if not hasattr(found, "toarray"):
        found = matrix_of(fields, "A")
        found = None if found is None else np.asarray(found[:])
    elif found.dtype.kind not in "fiub":
        raise InputError(f"{fields.where}: estimates/A must hold numbers, but it holds {found.dtype}")
    return None if found is None else csc_matrix(found)


def _hashes_of_background(fields: Fields) -> dict[str, str]:
    matrices = {name: matrix_of(fields, name) for name in ("b", "f")}
    found = {name: digest(matrix) for name, matrix in matrices.items() if matrix is not None}
    footprints = footprints_of(fields)
    if footprints is not None:
        places = np.concatenate([footprints.indices, footprints.indptr]).reshape(1, -1)
        found["A"] = digest(footprints.data.reshape(1, -1), places)
    return found


def _parts(fields: Fields) -> tuple[Any, Any, str]:
    """C, what has to be added to it for the raw traces, and the field that this comes from."""
    components = matrix_of(fields, "C")
    if components is None:
        raise InputError(f"{fields.where} has no traces: estimates/C is missing or empty")
    for name in ("YrA", "R"):  # R is what Estimates.compute_residuals computes, YrA what everything else does
        residual = matrix_of(fields, name)
        if residual is not None:
            if residual.shape != components.shape:
                raise InputError(
                    f"{fields.where}: estimates/C has the shape {components.shape}, but estimates/{name} has "
                    f"{residual.shape}: they must come from the same run"
                )
            return components, residual, name
    # what OnACID has seen: background, then components, in all epochs; its YrA is noisyC - C in the last of them
    noisy, temporal = matrix_of(fields, "noisyC"), matrix_of(fields, "f")
    if noisy is not None:
        n_background = 0 if temporal is None else temporal.shape[0]
        n_components, n_frames = components.shape
        if noisy.shape[0] == n_background + n_components and noisy.shape[1] % n_frames == 0:
            last_epoch = slice(noisy.shape[1] - n_frames, None)

            def compute(rows: slice) -> np.ndarray:
                moved = slice(n_background + rows.start, n_background + rows.stop)
                return np.asarray(noisy[moved, last_epoch]) - np.asarray(components[rows])

            dtype = np.result_type(noisy.dtype, components.dtype)
            return components, ComputedRows(components.shape, compute, dtype), "noisyC"
    raise InputError(
        f"{fields.where} has no residuals: estimates/YrA is missing, and C alone is denoised; run "
        "cnm.compute_residuals(Yr) in CaImAn and save again"
    )
