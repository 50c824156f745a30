"""What makes a frame rate doubtful that a container states: nobody may have set it, or it may be that of all planes."""

from __future__ import annotations

#: From these rates (Hz) on, each of several planes would have been scanned faster than most microscopes can: the first
#: for any number of planes, the second where all planes together exceed the third.
_FAST_FOR_SEVERAL, _FAST_FOR_MANY, _FAST_TOGETHER = 29.0, 14.0, 65.0


def doubts_about_rate(
    rate: float, where: str, defaults: dict[float, str] | None = None, n_planes: int | None = None
) -> list[str]:
    """Why the frame rate of a container may be wrong.

    Parameters
    ----------
    rate : float
        In Hz.
    where : str
        Where it is stated, for the message.
    defaults : dict of float to str, optional
        Rates (Hz) that are there if nobody has set one, and whose defaults they are.
    n_planes : int, optional
        Planes that were scanned one after the other, if that is known.

    Returns
    -------
    list of str
        What was found and what to do; empty if there is no doubt.

    Examples
    --------
    >>> doubts_about_rate(30.0, "fs in ops.npy", n_planes=4)[0].rpartition(": ")[2]
    'pass --frame-rate 7.5'
    >>> doubts_about_rate(7.5, "fs in ops.npy", n_planes=4)
    []
    """
    if rate in (defaults or {}):
        whose = (defaults or {})[rate]
        return [
            f"{where} is {rate:g} Hz, {whose}, which may never have been set: check it, and pass --frame-rate if it is "
            "another"
        ]
    n_planes = n_planes or 1
    if n_planes > 1 and (rate >= _FAST_FOR_SEVERAL or (rate >= _FAST_FOR_MANY and rate * n_planes > _FAST_TOGETHER)):
        return [
            f"{where} is {rate:g} Hz, and there are {n_planes} planes: if all of them together were scanned at this "
            f"rate, each has {rate / n_planes:.4g} Hz: pass --frame-rate {rate / n_planes:.4g}"
        ]
    return []
