"""What `cascade convert` writes as arrays: ``.npz`` and ``.mat`` files, and folders of CSV tables."""

from cascade_adapters.containers.converted.file import ConvertedFile
from cascade_adapters.containers.converted.tables import ConvertedTables

__all__ = ["ConvertedFile", "ConvertedTables"]
