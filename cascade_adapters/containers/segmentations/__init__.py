"""Results of EXTRACT, CNMF-E, Inscopix, SIMA and minian: only read; results lie in an ``.npz`` beside them."""

from cascade_adapters.containers.segmentations.cnmfe import CnmfeFile
from cascade_adapters.containers.segmentations.extract import ExtractFile
from cascade_adapters.containers.segmentations.inscopix import InscopixFile
from cascade_adapters.containers.segmentations.minian import MinianFolder
from cascade_adapters.containers.segmentations.sima import SimaFolder

#: In this order a path is offered to them.
SEGMENTATIONS = (ExtractFile, CnmfeFile, InscopixFile, SimaFolder, MinianFolder)

__all__ = ["SEGMENTATIONS", "CnmfeFile", "ExtractFile", "InscopixFile", "MinianFolder", "SimaFolder"]
