"""The file formats of arrays: how each is read, and how results are written in the same form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cascade_adapters.containers.arrays import matlab_files, numpy_files, text_files
from cascade_adapters.containers.arrays.contents import Contents


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    read : callable
        ``read(path)`` says what a file holds (`Contents`); raises `InputError` if it is damaged or something else.
    files : callable
        ``files(stem, suffix, arrays, facts, layout)`` gives, for each file to write, its name and what writes its
        content into an open file. `arrays` (`LaidOut`) know the orientation of the input, `facts` are plain numbers and
        texts that go with them where the format has room, `layout` comes from the `Contents`.
    load : callable
        ``load(folder, stem, suffix, names, layout)`` gives these arrays back, by name, in the form that the file has.
    """

    read: Callable[[Path], Contents]
    files: Callable[..., dict[str, Callable[[BinaryIO], None]]]
    load: Callable[..., dict[str, Any]]


_TEXT = Format(text_files.read_text, text_files.text_files, text_files.load_text_results)

#: By the ending of a file's name, in lower case.
FORMATS = {
    ".npy": Format(numpy_files.read_npy, numpy_files.npy_files, numpy_files.load_npy_results),
    ".npz": Format(numpy_files.read_npz, numpy_files.npz_files, numpy_files.load_npz_results),
    ".mat": Format(matlab_files.read_mat, matlab_files.mat_files, matlab_files.load_mat_results),
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".txt": _TEXT,
}
