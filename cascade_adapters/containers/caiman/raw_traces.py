"""Raw traces and background of CaImAn's components.

CaImAn splits the movie into components A C, background b f, and what remains. The raw trace of a component is
``C + YrA``, in units of its column of A; the background under it is ``A' b f``, which has the same unit once it is
divided by the squared norm of that column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from cascade_adapters.containers.caiman.fields import Fields, matrix_of
from cascade_engine.errors import InputError

_BLOCK_VALUES = 16_000_000


def read_raw_traces(fields: Fields) -> tuple[np.ndarray, str, list[str]]:
    """Raw traces of all components.

    Parameters
    ----------
    fields : Fields
        The result.

    Returns
    -------
    traces : array, shape (n_components, n_frames), float32
        C + YrA; NaN where OnACID had not found a component yet, which it stores as zeros.
    source : str
        Where they come from.
    remarks : list of str
        What was found to be doubtful.

    Raises
    ------
    InputError
        If there are no traces, or only denoised ones.
    """
    components, residual, name = _parts(fields)
    traces = np.empty(components.shape, dtype=np.float32)
    n_late = 0
    for rows in _row_blocks(components.shape):
        ours, theirs = np.asarray(components[rows]), np.asarray(residual[rows])
        with np.errstate(over="ignore", invalid="ignore"):
            traces[rows] = ours + theirs
        absent = np.cumsum((ours != 0) | (theirs != 0), axis=1) == 0
        absent[absent.all(axis=1) | ~absent[:, :2].all(axis=1)] = False  # silent throughout, or zero by chance
        traces[rows][absent] = np.nan
        n_late += int(np.count_nonzero(absent[:, 0]))
    source = "noisyC" if name == "noisyC" else f"C + {name}"
    late = f"{n_late} components have no trace before they were found (OnACID): no prediction there"
    return traces, source, [late] if n_late else []


def read_background(fields: Fields, shape: tuple[int, int]) -> np.ndarray | None:
    """Background under each component.

    Parameters
    ----------
    fields : Fields
        The result.
    shape : tuple of int
        Numbers of components and frames.

    Returns
    -------
    array, shape (n_components, n_frames), float32, or None
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
        background = weights.astype(np.float32) @ np.asarray(temporal[:], dtype=np.float32)
    return background if background.any() else None


def fingerprint(fields: Fields) -> dict[str, str]:
    """SHA-256 of the raw traces and the background; the same for a result in memory and saved.

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
    found = {"C": digest(components), name: digest(residual)}
    for other in ("b", "f"):
        matrix = matrix_of(fields, other)
        if matrix is not None:
            found[other] = digest(matrix)
    footprints = footprints_of(fields)
    if footprints is not None:
        places = np.concatenate([footprints.indices, footprints.indptr]).reshape(1, -1)
        found["A"] = digest(footprints.data.reshape(1, -1), places)
    return found


def shape_of(fields: Fields) -> tuple[int, int]:
    """Numbers of components and frames."""
    n_components, n_frames = _parts(fields)[0].shape
    return int(n_components), int(n_frames)


def digest(*matrices: Any) -> str:
    """SHA-256 of numbers and their shape, whatever type and order they are stored in."""
    found = hashlib.sha256()
    for matrix in matrices:
        found.update(repr(tuple(int(length) for length in matrix.shape)).encode())
        for rows in _row_blocks(matrix.shape):
            found.update(np.ascontiguousarray(matrix[rows], dtype="<f8").data)
    return found.hexdigest()


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
            last_epoch = noisy[n_background:, noisy.shape[1] - n_frames :]
            return components, np.asarray(last_epoch) - np.asarray(components[:]), "noisyC"
    raise InputError(
        f"{fields.where} has no residuals: estimates/YrA is missing, and C alone is denoised; run "
        "cnm.compute_residuals(Yr) in CaImAn and save again"
    )


def _row_blocks(shape: tuple[int, int]) -> Iterator[slice]:
    at_once = max(1, _BLOCK_VALUES // max(1, shape[1]))
    return (slice(start, start + at_once) for start in range(0, shape[0], at_once))
