"""Pages to look at: one HTML file each, which needs no network, no server and no other file."""

from cascade_adapters.pages.writing import write_pages

__all__ = ["write_pages"]
