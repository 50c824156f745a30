"""suite2p: the folders that it writes."""
