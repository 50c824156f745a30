"""``Fall.mat``, into which suite2p can write everything about a plane."""

from cascade_adapters.containers.fall.file import FallFile

__all__ = ["FallFile"]
