"""NWB files (Neurodata Without Borders), in HDF5 or Zarr."""

from cascade_adapters.containers.nwb.recording import NwbRecording

__all__ = ["NwbRecording"]
