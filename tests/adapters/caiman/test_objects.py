"""CaImAn's objects in memory, and the other ways to get to its results."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from cascade_adapters.cli import main
from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.hooks.caiman import run_on_estimates, run_on_file
from cascade_engine.errors import CascadeError, CascadeWarning, InputError
from cascade_engine.file_formats.atomic import sha256
from tests.adapters.caiman.helpers import ARRAYS, COMPUTE
from tests.builders.caiman_files import (
    CNMF,
    VERSIONS,
    content,
    load,
    make_cnmf,
    make_file,
    save,
    select_components,
)
from tests.builders.running import dff_of

# ---------------------------------------------------------------------------------------------------------- in memory


@pytest.fixture
def run_in_memory(random_model):
    return lambda cnmf, **options: run_on_estimates(cnmf, **{"model": str(random_model.folder), **options})


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_an_object_gives_the_same_as_its_file(tmp_path, cnmf, run, run_in_memory, version, replace_spikes):
    path = save(cnmf, tmp_path / "r.hdf5", version)
    run(path, replace_spikes=replace_spikes)
    report = run_in_memory(cnmf, replace_spikes=replace_spikes)
    assert report.written == ["estimates.cascade"] + ["estimates.S"] * replace_spikes
    expected, found = CaimanFile(path).results(), CaimanObject(cnmf).results()
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.record.input == expected.record.input

    saved = CaimanFile(save(cnmf, tmp_path / "saved.hdf5", version))
    assert saved.record() == found.record and not saved.is_stale()
    np.testing.assert_array_equal(saved.results().spike_prob, found.spike_prob)
    loaded = CaimanObject(load(saved.path, version))
    assert loaded.record() == found.record and not loaded.is_stale()
    saved.restore()
    assert content(saved.path) == content(save(make_cnmf(), tmp_path / "r.hdf5", version))


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_restoring_an_object(cnmf, run_in_memory):
    before, spikes = set(vars(cnmf.estimates)), cnmf.estimates.S
    run_in_memory(cnmf, replace_spikes=True)
    run_in_memory(cnmf, replace_spikes=True)
    assert cnmf.estimates.S is not spikes and cnmf.estimates.cascade["S_caiman"] is spikes
    run_in_memory(cnmf)
    assert cnmf.estimates.S is spikes
    run_in_memory(cnmf, replace_spikes=True)
    assert CaimanObject(cnmf).restore() == ["put back estimates.S", "removed estimates.cascade"]
    assert cnmf.estimates.S is spikes and set(vars(cnmf.estimates)) == before
    assert CaimanObject(cnmf).restore() == []
    cnmf.estimates.S = None
    with pytest.raises(InputError, match="no S to replace"):
        run_in_memory(cnmf, replace_spikes=True)


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_an_objects_s_that_was_changed_since_is_left_alone(cnmf, run_in_memory):
    spikes = cnmf.estimates.S
    run_in_memory(cnmf, replace_spikes=True)
    cnmf.estimates.S = theirs = np.full((6, 700), 7.0)
    with pytest.raises(InputError, match="would destroy the old one"):
        run_in_memory(cnmf, replace_spikes=True)
    run_in_memory(cnmf)
    assert cnmf.estimates.cascade["S_caiman"] is spikes
    CaimanObject(cnmf).restore()
    assert cnmf.estimates.S is theirs and list(cnmf.estimates.cascade) == ["S_caiman"]


def test_doubts_about_an_object_are_warnings(cnmf, run_in_memory):
    cnmf.params.data["fr"] = 30.0
    with pytest.warns(CascadeWarning, match="CaImAn's default"):
        run_in_memory(cnmf)


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_estimates_alone_need_a_frame_rate(cnmf, run_in_memory):
    with pytest.raises(InputError, match=r"the CaImAn object has no frame rate"):
        run_in_memory(cnmf.estimates)
    assert run_in_memory(cnmf.estimates, frame_rate=20.0).frame_rate_hz == 20.0
    assert cnmf.estimates.cascade["spike_prob"].shape == (6, 700)


def test_parameters_may_be_attributes(cnmf):
    cnmf.params.data = CNMF(**cnmf.params.data)
    assert CaimanObject(cnmf).read().frame_rate == 20.0


def test_lists_and_sparse_arrays_in_an_object(cnmf):
    expected = CaimanObject(cnmf).read(COMPUTE)
    cnmf.estimates.idx_components = [0, 2, 4]
    cnmf.estimates.b, cnmf.estimates.A = csc_matrix(cnmf.estimates.b), cnmf.estimates.A.tocsr()
    found = CaimanObject(cnmf).read(COMPUTE)
    np.testing.assert_allclose(found.background, expected.background, rtol=1e-6)
    assert found.is_cell.tolist() == [True, False] * 3
    assert CaimanObject(cnmf).fingerprint() == CaimanObject(make_cnmf()).fingerprint()


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_selecting_components_of_an_object_does_not_go_unnoticed(cnmf, run_in_memory):
    run_in_memory(cnmf)
    select_components(cnmf, [1, 2])
    container = CaimanObject(cnmf)
    assert container.is_stale() and "there are now 2 x 700" in container.read().remarks[0]
    with pytest.raises(InputError, match="there are now 2 x 700"):
        container.results()
    run_in_memory(cnmf)
    assert not container.is_stale() and container.results().spike_prob.shape == (2, 700)


@pytest.mark.parametrize("other", [None, 3, "results.hdf5", {"C": 1}, np.ones((3, 4))])
def test_anything_else_in_memory_is_refused(other):
    with pytest.raises(InputError, match="a CNMF object, or its estimates, is needed"):
        run_on_estimates(other)


def test_an_object_of_which_no_dff_can_be_had_is_as_it_was(cnmf, run_in_memory):
    cnmf.estimates.b = cnmf.estimates.f = None
    before = dict(vars(cnmf.estimates))
    with pytest.raises(InputError, match=r"the CaImAn object has no background b and f"):
        run_in_memory(cnmf)
    assert vars(cnmf.estimates) == before


def test_options_are_checked(path, cnmf):
    with pytest.raises(InputError, match="there is no option speed"):
        run_on_file(path, speed=3)
    with pytest.raises(InputError, match="there is no option speed"):
        run_on_estimates(cnmf, speed=3)
    with pytest.raises(InputError, match="is no file of CaImAn's"):
        run_on_file(path.parent)
    with pytest.raises(InputError, match="is no file of CaImAn's"):
        run_on_file(path.parent / "other.hdf5")


# ---------------------------------------------------------------------------------------------- other ways to get here


def test_on_the_command_line(tmp_path, random_model, capsys):
    folder = tmp_path / "with spaces, ü"
    folder.mkdir()
    path = make_file(folder / "résults 1.hdf5")
    before = sha256(path)
    main(["inspect", str(folder), "--model", str(random_model.folder)])
    assert "CaImAn, 6 ROIs (3 cells) x 700 frames" in capsys.readouterr().out
    main(["run", str(folder), "--model", str(random_model.folder), "--replace-s", "--quiet"])
    assert "estimates/cascade/spike_prob" in capsys.readouterr().out
    main(["restore", str(folder)])
    assert "restored\n  put back estimates/S\n  removed estimates/cascade\n" in capsys.readouterr().out
    assert sha256(path) == before


MESMERIZE = """
import importlib.machinery, sys
from pathlib import Path

class Empty:  # CaImAn and what comes with it
    def find_spec(name, *rest):
        if name.split(".")[0] in ("caiman", "ipyparallel"):
            return importlib.machinery.ModuleSpec(name, Empty, is_package=True)
    def create_module(spec):
        pass
    def exec_module(module):
        module.__getattr__ = lambda attribute: type(attribute, (), {})

sys.meta_path.append(Empty)
import mesmerize_core, pandas as pd
import cascade_adapters.hooks.mesmerize
folder, model = sys.argv[1:]
df = mesmerize_core.create_batch(Path(folder) / "batch.pickle")
outputs = {"success": True, "traceback": None, "cnmf-hdf5-path": "results.hdf5"}
series = pd.Series({"algo": "cnmf", "uuid": "1", "outputs": outputs})
series.paths.set_batch_path(Path(folder) / "batch.pickle")
series.cnmf.get_n_components  # mesmerize's own accessor
report = series.cascade.run(model=model)
assert report.status == "done", report
assert series.cascade.get_results().spike_prob.shape == (6, 700)
assert series.cascade.restore() == ["removed estimates/cascade"]
assert series.cascade.get_results() is None
"""


def test_the_accessor_for_mesmerize(path, random_model):
    """With mesmerize-core itself; CaImAn, which it imports and pip cannot install, stands in empty."""
    pytest.importorskip("pandas")
    from importlib.util import find_spec

    if find_spec("mesmerize_core") is None:
        pytest.skip("needs mesmerize-core")
    before = sha256(path)
    arguments = [sys.executable, "-c", MESMERIZE, str(path.parent), str(random_model.folder)]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sha256(path) == before


def test_the_accessor_is_not_there_without_mesmerize():
    code = """
import sys
sys.modules["mesmerize_core"] = None
sys.meta_path.insert(0, type("Hide", (), {"find_spec": lambda name, *rest: None}))
import importlib.util
importlib.util.find_spec = lambda name: None
from cascade_engine.errors import MissingExtraError
try:
    import cascade_adapters.hooks.mesmerize
except MissingExtraError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().startswith("the accessor series.cascade needs mesmerize-core, which is not installed")


def test_importing_the_adapter_is_light():
    code = """
import sys, cascade_adapters.hooks.caiman
print(sorted({"h5py", "scipy", "pandas", "caiman"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["caiman-1.12.1-cnmf.hdf5", "caiman-1.8.5-cnmf.hdf5"])
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_real_files(shared, tmp_path, run, name, replace_spikes):
    path = tmp_path / name
    path.write_bytes((shared("containers") / "caiman" / name).read_bytes())
    before, untouched = sha256(path), content(path)
    traces = CaimanFile(path).read()
    assert traces.source == "F_dff" and traces.frame_rate == 30.0
    # in the newer one somebody has set the decay time, and so the parameters
    assert [remark for remark in traces.remarks if "CaImAn's default" in remark] == traces.remarks[: "1.8.5" in name]
    computed = dff_of(CaimanFile(path).read(Reading(dff="compute"))).dff
    for ours, theirs in zip(computed, traces.dff, strict=True):
        assert np.corrcoef(np.diff(ours), np.diff(theirs))[0, 1] > 0.99
    rois = CaimanFile(path).rois()
    assert len(rois.pixels) == len(traces.dff)
    run(path, replace_spikes=replace_spikes)
    after = content(path)
    assert {key for key in untouched if after[key] != untouched[key]} == ({"estimates/S"} if replace_spikes else set())
    version = "1.8.5" if "1.8.5" in name else "1.12.1"
    again = CaimanFile(save(load(path, version), tmp_path / "again.hdf5", version))
    assert again.record() == CaimanFile(path).record() and not again.is_stale()
    CaimanFile(path).restore()
    assert sha256(path) == before


def test_caiman_itself_loads_and_saves_results(path, tmp_path, run):
    """Only conda has CaImAn; the package of this name that pip finds is another."""
    cnmf_module = pytest.importorskip(
        "caiman.source_extraction.cnmf.cnmf", reason="needs CaImAn, which is installed by conda"
    )
    run(path, only_cells=True)
    loaded = cnmf_module.load_CNMF(str(path))
    assert loaded.estimates.cascade["spike_prob"].shape == (6, 700)
    loaded.save(str(tmp_path / "again.hdf5"))
    assert CaimanFile(tmp_path / "again.hdf5").record() == CaimanFile(path).record()


def test_every_failure_is_a_cascade_error():
    assert issubclass(InputError, CascadeError)
