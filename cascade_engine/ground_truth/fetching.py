"""Downloading the public ground truth.

The list of files, with their sizes and Git's hashes, comes from the repository itself; each file is downloaded to a
temporary place, checked against its hash, and only then moved in place.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cascade_engine.errors import InputError
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.ground_truth.catalogue import load_catalogue, public_source
from cascade_engine.ground_truth.database import ENVIRONMENT_VARIABLE
from cascade_engine.ground_truth.names import folder_name
from cascade_engine.user_folders import user_folder

_TREE_URL = "https://api.github.com/repos/{repository}/git/trees/{ref}?recursive=1"
_FILE_URL = "https://raw.githubusercontent.com/{repository}/{ref}/{path}"


def fetch(
    datasets: Sequence[str] = (),
    folder: str | os.PathLike | None = None,
    progress: bool = True,
    tree_url: str = _TREE_URL,
    file_url: str = _FILE_URL,
) -> Path:
    """Download public datasets; files that are there and unchanged are kept.

    Parameters
    ----------
    datasets : sequence of str
        Keys (``"DS09"``) or folder names, as for `folder_name`. Default: all.
    folder : path, optional
        Where to put them. Default: ``CASCADE_GROUND_TRUTH``, else the platform's data folder.
    progress : bool
        Show a progress bar.
    tree_url, file_url : str
        Where the list of files and the files are, with ``{repository}``, ``{ref}`` and ``{path}`` to be filled in.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If a dataset is not known, the network fails, or a file does not have its hash. What has been downloaded stays;
        the same call goes on from there.
    """
    from tqdm import tqdm

    source = public_source()
    names = _folder_names(datasets)
    root = Path(folder or os.environ.get(ENVIRONMENT_VARIABLE) or user_folder("ground_truth"))
    place = {"repository": source["repository"], "ref": source["ref"]}
    files = _list_files(tree_url.format(**place), source["folder"], names)
    with tqdm(files, disable=not progress, unit="file") as bar:
        for path, git_hash in bar:
            target = root / PurePosixPath(path).relative_to(source["folder"])
            bar.set_description(target.parent.name)
            if target.is_file() and _git_hash(target) == git_hash:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            _download(file_url.format(**place, path=path), target, git_hash)
    return root


def _folder_names(datasets: Sequence[str]) -> list[str]:
    return [folder_name(name) for name in datasets] or [entry.folder for entry in load_catalogue().values()]


def _list_files(url: str, folder: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Paths and Git hashes of the datasets' files."""
    with tempfile.TemporaryDirectory() as temporary:
        path = _retrieve(url, Path(temporary), "tree.json")
        try:
            tree = parse_json(path.read_text("utf-8"))["tree"]
            entries = [(entry["path"], entry["sha"]) for entry in tree if entry["type"] == "blob"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{url} does not give a list of files: try again later") from None
    wanted = {f"{folder}/{name}" for name in names}
    files = [
        (path, sha) for path, sha in entries if str(PurePosixPath(path).parent) in wanted and path.endswith(".mat")
    ]
    missing = sorted(wanted - {str(PurePosixPath(path).parent) for path, _ in files})
    if missing:
        raise InputError(f"the public source no longer has {', '.join(missing)}")
    return files


def _download(url: str, target: Path, git_hash: str) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
        path = _retrieve(url, Path(temporary), target.name)
        found = _git_hash(path)
        if found != git_hash:
            raise InputError(f"{url} came with the Git hash {found} instead of {git_hash}: try again")
        os.replace(path, target)


def _retrieve(url: str, folder: Path, name: str) -> Path:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder))
    except Exception as error:  # requests and urllib3 raise many kinds
        response = getattr(error, "response", None)
        reason = f"status {response.status_code}" if response is not None else type(error).__name__
        raise InputError(f"{url} cannot be downloaded ({reason}): check the network and try again") from None


def _git_hash(path: Path) -> str:
    """Git's name for a file of this content: SHA-1 over its size and bytes."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
