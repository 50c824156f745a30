"""Plain arrays: ``.npy``, ``.npz``, ``.mat``, ``.csv``, ``.tsv`` and ``.txt`` files."""

from cascade_adapters.containers.arrays.file import ArrayFile

__all__ = ["ArrayFile"]
