"""The containers that hold traces: suite2p, CaImAn, NWB, arrays and others."""
