"""One line that a hook says when it has succeeded."""

from __future__ import annotations

from cascade_adapters.running.report import Report


def say_done(reports: list[Report]) -> list[Report]:
    """Print one line on recordings that were run, if there are any; gives the reports back."""
    done = [report for report in reports if report.status == "done"]
    skipped = [report for report in reports if report.status == "skipped"]
    if done:
        n_rois = sum(report.n_rois or 0 for report in done)
        n_predicted = n_rois - sum(len(report.without_prediction) + report.n_left_out for report in done)
        more = f" and {len(done) - 1} more" if len(done) > 1 else ""
        left = f"; {len(skipped)} skipped" if skipped else ""
        print(f"cascade: spikes of {n_predicted} of {n_rois} ROIs, by {done[0].model}, in {done[0].path}{more}{left}")
    elif skipped:
        print(f"cascade: {skipped[0].path}: {skipped[0].message}")
    return reports
