"""How to cite what was used, as text and as BibTeX."""

from __future__ import annotations

from dataclasses import dataclass

from cascade_engine._version import __version__

#: Where the method was published.
METHOD = (
    "Rupprecht P, Carta S, Hoffmann A, Echizen M, Blot A, Kwan AC, Dan Y, Hofer SB, Kitamura K, Helmchen F, "
    "Friedrich RW (2021). A database and deep learning toolbox for noise-optimized, generalized spike inference from "
    "calcium imaging. Nature Neuroscience 24:1324-1337. doi:10.1038/s41593-021-00895-5"
)

_METHOD_BIBTEX = """@article{Rupprecht2021,
  author  = {Rupprecht, Peter and Carta, Stefano and Hoffmann, Adrian and Echizen, Mayumi and Blot, Antonin and
             Kwan, Alex C. and Dan, Yang and Hofer, Sonja B. and Kitamura, Kazuo and Helmchen, Fritjof and
             Friedrich, Rainer W.},
  title   = {A database and deep learning toolbox for noise-optimized, generalized spike inference from calcium
             imaging},
  journal = {Nature Neuroscience},
  volume  = {24},
  pages   = {1324--1337},
  year    = {2021},
  doi     = {10.1038/s41593-021-00895-5}
}"""

_SOFTWARE_BIBTEX = """@software{{cascade_spikes,
  author  = {{{{The cascade-spikes developers}}}},
  title   = {{cascade-spikes: calibrated spike inference as a plugin for calcium-imaging pipelines}},
  version = {{{version}}}
}}"""


@dataclass(frozen=True)
class Citations:
    """What to cite.

    Attributes
    ----------
    texts : list of str
        One publication each.
    sentence : str
        For the methods of a paper.
    bibtex : str
        The method and the software.
    """

    texts: list[str]
    sentence: str
    bibtex: str


def citations(model: str = "", version: str = __version__, how: str = "") -> Citations:
    """What to cite for results.

    Parameters
    ----------
    model : str
        Name of the model; empty where none was used.
    version : str
        Version of cascade-spikes that made the results.
    how : str
        Kernel and smoothing, in words.
    """
    software = f"The cascade-spikes developers. cascade-spikes, version {version}: calibrated spike inference."
    with_model = f" (model {model}, {how})" if model else ""
    sentence = f"Spike rates were inferred with cascade-spikes {version}{with_model}, after Rupprecht et al. (2021)."
    return Citations([METHOD, software], sentence, f"{_METHOD_BIBTEX}\n\n{_SOFTWARE_BIBTEX.format(version=version)}")
