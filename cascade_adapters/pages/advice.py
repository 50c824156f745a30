"""What to do about a warning, in words: most say it themselves, some need a sentence more."""

from __future__ import annotations

#: Part of a warning, and what to do about it; the first that fits counts.
_ADVICE = (
    ("smoothed, interpolated, denoised", "Run again on the traces as they were extracted, before any filter."),
    ("these traces are denoised", "Run again on the raw traces. Do not compare these rates with those of others."),
    ("ARBITRARY UNITS", "Use when cells fired. Do not use how often, and do not compare cells by their rate."),
    ("which may never have been set", "Look the frame rate up at the microscope. If it is another, run again with "
     "--frame-rate HZ --existing overwrite; if it is right, passing it ends this warning."),
    ("settings.npy: suite2p's defaults", "Check the frame rate and pass it with --frame-rate HZ; keep ops.npy beside "
     "F.npy."),
    ("offset of the detector", "Look at the darkest pixels of the movie, and run again with --offset COUNTS "
     "--existing overwrite."),
    ("their spikes are unreliable", "Leave these cells out of counts, or average over many of them."),
    ("brighter or darker by", "Look at the movie around this frame. If another session begins there, run again with "
     "--sessions."),
    ("does not rest at 0", "Look at a few traces below: quiet stretches must lie at 0."),
    ("have no noise to be scaled by", "Run again on the original traces."),
    ("this looks transposed", "Check which axis is time, and pass the other --orientation."),
    ("noise levels down to", "Compare with a model that was trained for less noise, or use the universal model."),
)  # fmt: skip


def advice_on(warning: str) -> str:
    """What to do about a warning; empty where the warning says it."""
    return next((advice for part, advice in _ADVICE if part in warning), "")
