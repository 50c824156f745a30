"""``Fall.mat``, into which suite2p can write everything about a plane, and what its forerunner in MATLAB wrote."""

from cascade_adapters.containers.fall.file import FallFile
from cascade_adapters.containers.fall.proc import ProcFile

__all__ = ["FallFile", "ProcFile"]
