"""Files of arrays in every format, as scripts, spreadsheets and MATLAB leave them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from cascade_engine.ground_truth import simulate_dataset

RATE = 30.0

#: Formats of a single matrix: ending of the name, and what `save` calls them.
FORMATS = ("npy", "npz", "mat5", "mat73", "csv", "tsv", "txt")


@lru_cache
def make_dff(n_rois: int = 3, n_frames: int = 160, seed: int = 0) -> np.ndarray:
    """Simulated dF/F (fraction), noise level 2, float32."""
    simulated = simulate_dataset(n_rois, n_frames / RATE, RATE, 2.0, seed)
    dff = np.stack([recording.dff for recording in simulated.recordings]).astype(np.float32)
    dff.setflags(write=False)
    return dff


def path_of(folder: Path, form: str, stem: str = "traces") -> Path:
    """Where a file of one of the `FORMATS` goes."""
    return folder / f"{stem}.{'mat' if form.startswith('mat') else form}"


def save(folder: Path, form: str, matrix: np.ndarray, stem: str = "traces", **others: Any) -> Path:
    """Save a matrix, called ``dff`` where variables have names, with others beside it where there is room."""
    path = path_of(folder, form, stem)
    if form == "npy":
        np.save(path, matrix)
    elif form == "npz":
        np.savez(path, dff=matrix, **{name: value for name, value in others.items() if not isinstance(value, dict)})
    elif form == "mat5":
        savemat(path, {"dff": matrix, **others}, do_compression=True)
    elif form == "mat73":
        save_mat73(path, {"dff": matrix, **others})
    else:
        np.savetxt(path, np.atleast_2d(matrix.T).T, delimiter={"csv": ",", "tsv": "\t", "txt": " "}[form], fmt="%.9g")
    return path


def save_mat73(path: Path, variables: dict[str, Any]) -> None:
    """Save as MATLAB does with ``-v7.3``: arrays, text, logical values, structs, cells, arrays of structs, nothing.

    Structs are dictionaries, cells are lists, and arrays of structs lists of dictionaries.
    """
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _put_mat73(file, file, name, value)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM")


def _put_mat73(file: h5py.File, group: h5py.Group, name: str, value: Any) -> h5py.Dataset | h5py.Group:
    if isinstance(value, dict):
        item, kind = group.create_group(name), "struct"
        for field, content in value.items():
            _put_mat73(file, item, field, content)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        references, item, kind = file.require_group("#refs#"), group.create_group(name), "struct"
        for field in value[0]:
            content = [
                _put_mat73(file, references, f"{name}{i}{field}", each[field]).ref for i, each in enumerate(value)
            ]
            item.create_dataset(field, data=np.array([content], dtype=h5py.ref_dtype).T)
    elif isinstance(value, list):
        references = file.require_group("#refs#")
        content = [_put_mat73(file, references, f"{name}{i}", element).ref for i, element in enumerate(value)]
        item, kind = group.create_dataset(name, data=np.array([content], dtype=h5py.ref_dtype).T), "cell"
    elif isinstance(value, str):
        codes = np.array([[ord(character)] for character in value], dtype=np.uint16)
        item, kind = group.create_dataset(name, data=codes), "char"
        item.attrs["MATLAB_int_decode"] = np.int32(2)
    else:
        value = np.atleast_2d(value)
        kind = {"float64": "double", "float32": "single", "bool": "logical"}.get(str(value.dtype), str(value.dtype))
        if value.size == 0:
            item = group.create_dataset(name, data=np.array(value.shape, dtype=np.uint64))
            item.attrs["MATLAB_empty"] = np.uint8(1)
        elif value.dtype.kind == "c":
            parts = np.empty(value.T.shape, dtype=[("real", "f8"), ("imag", "f8")])
            parts["real"], parts["imag"] = value.T.real, value.T.imag
            item, kind = group.create_dataset(name, data=parts), "double"
        else:
            item = group.create_dataset(name, data=value.T.astype(np.uint8) if kind == "logical" else value.T)
    item.attrs["MATLAB_class"] = np.bytes_(kind)
    return item
