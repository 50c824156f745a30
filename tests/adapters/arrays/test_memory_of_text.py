"""Text files of any content are read in little more memory than they have bytes, and absurd ones are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers import base
from cascade_adapters.containers.arrays import ArrayFile, text_files
from cascade_adapters.containers.base import Reading, Selection
from cascade_engine.errors import InputError
from cascade_engine.file_formats import unpacking

#: Content of 4 MB, and what is said of it when no more than 100,000 lines or values in a line are allowed.
ABSURD = {
    "commas alone": ("," * 4_000_000, "holds no numbers"),
    "a line of numbers": ("1" + ",1" * 2_000_000, "line 1 has more than 100,000 values: save so many numbers as .npy"),
    "blank lines": ("\n" * 4_000_000, "has more than 100,000 lines: save so many numbers as .npy"),
    "lines of commas": (",\n" * 2_000_000, "has more than 100,000 lines"),
    "short lines": ("1\n" * 2_000_000, "has more than 100,000 lines"),
    "empty quotes": ('"",' * 1_300_000, "holds no numbers"),
    "names alone": ("a,b\n" * 90_000, "holds no numbers"),
    "lines of different length": (
        "1" + ",1" * 90_000 + "\n" + "1\n" * 90_000 + "1,1",
        "line 2: 1 values, but 90001 in the fi",
    ),
}

#: Reads a small file, then another, and prints by how much (kB) that raised the peak.
_READ = """
import resource, sys
from pathlib import Path
from cascade_adapters.containers.arrays.text_files import read_text
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_text(Path(sys.argv[1]))
before = peak()
read_text(Path(sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_text(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text_files, "_MOST", 100_000)
    content, words = ABSURD[name]
    path = tmp_path / "a.csv"
    path.write_text(content, "ascii", newline="")
    with pytest.raises(InputError, match=f"a.csv,? {words}"):
        text_files.read_text(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory in units of Linux")
def test_memory_of_a_table(tmp_path):
    """Numbers take eight bytes each, not the sixty of a text."""
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    row = ",".join(["0.5"] * 20_000)
    small.write_text("1,2\n3,4\n")
    large.write_text("\n".join([row] * 100))
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(small), str(large)], capture_output=True, text=True, check=True
    )
    assert 1024 * int(done.stdout) < 6 * large.stat().st_size


@pytest.mark.parametrize("shape", [(1, 3_000_000_000), (3_000_000_000,), (10, 3_000_000_000)])
def test_a_trace_that_is_longer_than_the_memory(tmp_path, monkeypatch, shape):
    """Refused before room is made for it; its values are holes in the file."""
    monkeypatch.setattr(unpacking, "available_memory", lambda: 8_000_000_000)
    path = Path(tmp_path / "a.npy")
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * int(np.prod(shape)))
    container = ArrayFile(path, Selection(orientation="rois-first"))
    with pytest.raises(InputError, match=r"a.npy: traces of 3000000000 frames are too long .* cut them into parts"):
        container.traces(Reading(frame_rate=30.0))


def test_what_fits_is_not_too_long(monkeypatch):
    monkeypatch.setattr(unpacking, "available_memory", lambda: 8_000_000_000)
    base.check_length(Path("a.nwb"), 100_000_000)
    with pytest.raises(InputError, match=r"a.nwb: traces of 200000000 frames are too long"):
        base.check_length(Path("a.nwb"), 200_000_000)
