"""Make the pictures of the documents.

    python docs/make_pictures.py [NAME ...]

writes ``docs/pictures/NAME.png``, all of them or those that are named, and ``docs/pictures/captions.yaml``. Most
data are simulated. Pictures of recorded ground truth need CASCADE_GROUND_TRUTH and are left as they are without it.
Needs the extra ``plot``; a few minutes on 2 cores.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import yaml
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

from cascade_engine.file_formats.atomic import replacing

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks/ is not installed

from drawing import of_input, of_plots, of_results  # noqa: F401 each puts its pictures into the album
from drawing.album import ALBUM, DPI, STYLE

FOLDER = Path(__file__).parent / "pictures"

#: Colours of a picture: enough for lines and their soft edges, and small files.
N_COLOURS = 128


def save(figure: Figure, path: Path) -> None:
    """Save a figure as a small PNG."""
    content = io.BytesIO()
    figure.savefig(content, dpi=DPI)
    pyplot.close(figure)
    colours = Image.open(content).convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE)
    with replacing(path) as file:
        colours.save(file, "PNG", optimize=True)


def write_captions() -> None:
    """Write what is seen on each picture, by the name of its file."""
    captions = {f"{name}.png": each.caption for name, each in ALBUM.items()}
    with replacing(FOLDER / "captions.yaml") as file:
        file.write(yaml.safe_dump(captions, sort_keys=False, width=116, allow_unicode=True).encode())


def main() -> None:
    """Make the pictures that are asked for."""
    names = sys.argv[1:] or list(ALBUM)
    unknown = [name for name in names if name not in ALBUM]
    if unknown:
        sys.exit(f"there is no picture {', '.join(unknown)}, but {', '.join(ALBUM)}")
    pyplot.rcParams.update(STYLE)
    for name in names:
        if ALBUM[name].recorded and "CASCADE_GROUND_TRUTH" not in os.environ:
            print(f"{name}: left as it is, since it needs recorded ground truth (CASCADE_GROUND_TRUTH)")
            continue
        save(ALBUM[name].draw(), FOLDER / f"{name}.png")
        print(f"{name}: {(FOLDER / f'{name}.png').stat().st_size / 1000:.0f} kB", flush=True)
    write_captions()


if __name__ == "__main__":
    main()
