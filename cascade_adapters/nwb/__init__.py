"""NWB files (Neurodata Without Borders), in HDF5 or Zarr."""

from cascade_adapters.nwb.recording import NwbRecording

__all__ = ["NwbRecording"]
