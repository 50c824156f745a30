"""Pages to look at: one HTML file each, which needs no network, no server and no other file."""
