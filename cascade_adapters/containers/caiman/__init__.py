"""CaImAn: its HDF5 files, and its objects in memory."""
