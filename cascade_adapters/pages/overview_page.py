"""The page with a row for each of several recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cascade_adapters.pages.charts import noise_chart
from cascade_adapters.pages.noise import dataset_marks
from cascade_adapters.pages.recording_page import Row
from cascade_adapters.pages.rendering import render


def overview_page(rows: Sequence[tuple[Row, str | None]], place: Path) -> str:
    """The overview as HTML.

    Parameters
    ----------
    rows : sequence of (Row, str or None)
        Recordings, and the address of their pages as seen from the overview.
    place : Path
        The folder that it lies in.
    """
    levels = np.array([row.noise_level for row, _ in rows if row.noise_level is not None])
    content = {
        "title": f"Spike inference: {len(rows)} recordings",
        "place": str(place),
        "rows": rows,
        "noise_svg": noise_chart(levels, dataset_marks(), zones=True, what="recordings") if levels.size else "",
    }
    return render("overview.html", content, viewer=False)
