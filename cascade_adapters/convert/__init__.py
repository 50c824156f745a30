"""Conversion between containers: what `cascade convert` does.

>>> from pathlib import Path
>>> from cascade_adapters.convert import convert
>>> convert(Path("mouse1/suite2p"), Path("mouse1.npz")).kind
'npz'
"""

from cascade_adapters.convert.conversion import TARGETS, Conversion, convert
from cascade_adapters.convert.metadata import TEMPLATE, Metadata, read_metadata
from cascade_adapters.convert.session import Plane, Session, read_session

__all__ = [
    "TARGETS",
    "TEMPLATE",
    "Conversion",
    "Metadata",
    "Plane",
    "Session",
    "convert",
    "read_metadata",
    "read_session",
]
