"""Examples of every command, as ``--help`` shows them: lines as they are typed, each with what it does."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("cascade demo", "try it on an example recording"),
        ("cascade inspect data/mouse1/suite2p", "what is there, at which frame rate, how noisy"),
        ("cascade run data/mouse1/suite2p", "spike probabilities for every recording at or below"),
        ("cascade report data/mouse1/suite2p", "a page to look at, beside the results"),
        ("cascade restore data/mouse1/suite2p", "remove the results, put back what they replaced"),
        ("cascade run --help", "all options, and more examples"),
    ),
    "demo": (
        ("cascade demo", "in the folder cascade-demo"),
        ("cascade demo tryout", "in a folder of your choice"),
    ),
    "inspect": (
        ("cascade inspect data/mouse1/suite2p", "what it is, frame rate, noise; nothing is written"),
        ("cascade inspect results.hdf5 session.nwb", "files of CaImAn and NWB"),
        ("cascade inspect data --json > reports.json", "every recording below data, for a script"),
    ),
    "run": (
        ("cascade run data/mouse1/suite2p", "every plane below"),
        ("cascade run data --existing update", "only what is new or changed"),
        ("cascade run results.hdf5 --indicator GCaMP6f", "a file of CaImAn"),
        ("cascade run dff.npy --orientation rois-first --frame-rate 30", "arrays"),
    ),
    "spikes": (
        ("cascade spikes data/mouse1/suite2p", "after 'cascade run data/mouse1/suite2p'"),
        ("cascade spikes session.nwb --json", "for a script"),
    ),
    "report": (
        ("cascade report data/mouse1/suite2p", "a page per plane, and one that lists them"),
        ("cascade report results.hdf5 --output mouse1.html", "one page, in a place of your choice"),
        ("cascade report session.nwb --rois 3,17,250", "all frames of these ROIs"),
    ),
    "restore": (
        ("cascade restore data/mouse1/suite2p", "every plane below, byte for byte as it was"),
        ("cascade restore results.hdf5 session.nwb", "files of CaImAn and NWB"),
    ),
    "convert": (
        ("cascade convert data/mouse1/suite2p mouse1.nwb --session-start-time 2024-05-17T12:30:00+02:00", ""),
        ("cascade convert results.hdf5 mouse1.mat", "arrays for MATLAB"),
        ("cascade convert session.nwb folder --to csv", "tables, for a spreadsheet"),
    ),
    "train": (
        ("cascade train mine.yaml", "the file describes the model, as examples/universal.yaml"),
        ("cascade train mine.yaml --ground-truth data/ground_truth --output models/mine", ""),
    ),
    "benchmark": (
        ("cascade benchmark", "what its card says of the universal model"),
        ("cascade benchmark universal DS09 DS29 --noise-level 2", "measured on their ground truth"),
        ("cascade benchmark models/mine DS30 --table scores.csv", "a model of your own, by neuron"),
    ),
    "models": (
        ("cascade models list", "what is here"),
        ("cascade models show universal", "what it was trained on, how accurate it is"),
    ),
    "models list": (
        ("cascade models list", "names, and what each is for"),
        ("cascade models list --json", "for a script"),
    ),
    "models show": (
        ("cascade models show universal", "what it is for, and how accurate it is"),
        ("cascade models show universal --yaml", "its whole card"),
        ("cascade models show Global_EXC_30Hz_smoothing50ms", "what answers for a published model"),
    ),
    "models import": (
        ("cascade models import Global_EXC_30Hz_smoothing50ms", "a folder of the published toolbox"),
        ("cascade models import downloads/my_model --output models/my_model", ""),
    ),
    "models verify": (
        ("cascade models verify", "all"),
        ("cascade models verify universal models/mine", ""),
    ),
    "ground-truth": (
        ("cascade ground-truth list", "what there is, and what is here"),
        ("cascade ground-truth fetch DS09 DS29", "download two datasets"),
        ("cascade ground-truth show DS09", "its neurons, and whom to cite"),
    ),
    "ground-truth explore": (
        ("cascade ground-truth explore", "a page with every dataset that is here"),
        ("cascade ground-truth explore DS09 DS14 --output two.html", "two of them"),
    ),
    "ground-truth list": (
        ("cascade ground-truth list", "what there is, and what is here"),
        ("cascade ground-truth list --ground-truth data/ground_truth --json", ""),
    ),
    "ground-truth show": (
        ("cascade ground-truth show DS09", "its neurons, and whom to cite"),
        ("cascade ground-truth show my_dataset --ground-truth data/ground_truth", ""),
    ),
    "ground-truth fetch": (
        ("cascade ground-truth fetch DS09 DS29", "two datasets"),
        ("cascade ground-truth fetch", "all, into the folder of your ground truth"),
    ),
    "ground-truth check": (
        ("cascade ground-truth check data/my_dataset", "what can be used"),
        ("cascade ground-truth check data/ground_truth", "every dataset in it"),
    ),
    "ground-truth simulate": (
        ("cascade ground-truth simulate simulated", "eight neurons of five minutes"),
        ("cascade ground-truth simulate simulated --neurons 20 --minutes 10 --noise-level 4", ""),
    ),
}
