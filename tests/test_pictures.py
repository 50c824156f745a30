"""The pictures of the documents: each has a caption, and the script that makes them knows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = {path.name: path.stat().st_size for path in (DOCS / "pictures").glob("*.png")}
CAPTIONS = yaml.safe_load((DOCS / "pictures" / "captions.yaml").read_text("utf-8"))


def test_captions_say_what_is_simulated_and_what_is_recorded():
    assert CAPTIONS
    for name, caption in CAPTIONS.items():
        assert name in PICTURES and caption.endswith("."), name
        assert any(word in caption for word in ("imulated", "ecorded")), caption


def test_pictures_are_small():
    assert sum(PICTURES.values()) < 2_500_000 and max(PICTURES.values()) < 400_000


def test_the_script_makes_the_pictures_that_have_captions():
    pytest.importorskip("matplotlib")
    script = [sys.executable, str(DOCS / "make_pictures.py"), "no_such_picture"]
    ended = subprocess.run(script, capture_output=True, text=True, cwd=DOCS.parent)
    names = ended.stderr.strip().removeprefix("there is no picture no_such_picture, but ").split(", ")
    assert ended.returncode == 1 and [f"{name}.png" for name in names] == list(CAPTIONS)
