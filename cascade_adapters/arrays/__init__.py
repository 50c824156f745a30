"""Plain arrays: ``.npy``, ``.npz``, ``.mat``, ``.csv``, ``.tsv`` and ``.txt`` files."""

from cascade_adapters.arrays.file import ArrayFile

__all__ = ["ArrayFile"]
