"""The result of `run` and `score` as text: the papers' four metrics, intervals, protocol, times, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fcnbench.metrics.titles import HEADINGS, MORE, interval, percent
from fcnbench.records.location import MATRICES_NAME, schema_path
from fcnbench.util.console import listed

if TYPE_CHECKING:
    from fcnbench.api.result import Run
    from fcnbench.records.evaluation import Counted
    from fcnbench.records.model import Record

TRIMAP, GEO_TRIMAP = "trimap", "geo_trimap"
"""Counts of bands around outlines."""

_BANDS = (1, 2, 3, 5, 10, 20, 40)
"""Widths of the bands that are printed; the record has all."""


def report(finished: Run, classes: bool) -> str:
    """Return the result of a run as text."""
    record = finished.record
    parts = [headline(record), metrics_table(record)]
    if classes:
        parts += ["", _class_table(record)]
    for name in (TRIMAP, GEO_TRIMAP):
        if (counted := record.evaluation.counts.get(name)) is not None:
            parts += ["", _trimap_table(counted)]
    if record.evaluation.reproducibility is not None:
        parts += ["", f"reproducibility: {record.evaluation.reproducibility.describe()}"]
    if record.environment.device_check is not None:
        parts += ["", f"device check: {record.environment.device_check.describe()}"]
    if times := _times(record):
        parts += ["", *times]
    return "\n".join([*parts, "", *_files(finished)])


def _files(finished: Run) -> list[str]:
    """Return a line for every file that a run wrote, or why it wrote no board."""
    lines = [f"record    {finished.path}", f"matrices  {finished.path.with_name(MATRICES_NAME)}"]
    if finished.board is None:
        return [*lines, f"board     {_no_board(finished.record)}"]
    return [*lines, f"board     {finished.board}", f"columns   {schema_path(finished.board)}"]


def headline(record: Record) -> str:
    """Return model, dataset, images and device, and what keeps the run off a board."""
    protocol = record.protocol
    where = record.environment.device_name or "stored predictions"
    marks = [f"  PARTIAL: {protocol.count} images, no board row\n"] if protocol.partial else []
    if leaked := record.leakage.ids:
        marks.append(f"  LEAK: trained on {len(leaked)} of these images ({listed(leaked)}), no board row\n")
    if unlisted := record.leakage.unlisted:
        marks.append(f"  UNCLEARED: trained on {listed(unlisted)}, whose ids are not known here, no board row\n")
    return f"{record.model.name} on {protocol.dataset}, {protocol.count} images, {where}\n" + "".join(marks)


def metrics_table(record: Record) -> str:
    """Return the four metrics in percent with their 95% intervals, what the dataset adds, and the signature."""
    from tabulate import tabulate

    scores, ends = record.all_scores(), record.intervals()
    rows = [
        ["score", *(percent(scores[name]) for name in HEADINGS)],
        ["95% interval", *(interval(*ends[name]) for name in HEADINGS)],
    ]
    headers = ["in percent", *HEADINGS.values()]
    table = tabulate(rows, headers, stralign="right", colalign=("left",), disable_numparse=True)
    more = [
        f"{title}  {percent(scores[name])}  ({interval(*ends[name])})" for name, title in MORE.items() if name in scores
    ]
    return "\n".join([table, *more, f"\nsignature  {record.protocol.signature()}"])


def _class_table(record: Record) -> str:
    from tabulate import tabulate

    from fcnbench.records.json import per_class

    rows = [[entry.name, percent(entry.iu), percent(entry.acc)] for entry in per_class(record)]
    return tabulate(rows, headers=["class", "IU", "acc."], disable_numparse=True)


def _trimap_table(counted: Counted) -> str:
    from tabulate import tabulate

    indices = [counted.spec.axes["width"].index(width) for width in _BANDS]
    rows = [[HEADINGS[name], *(percent(curve[index]) for index in indices)] for name, curve in counted.derived.items()]
    second = "" if counted.spec.label_maps == "labels" else f", {counted.spec.label_maps}"
    headers = [f"px from outlines{second}", *(f"< {width}" for width in _BANDS)]
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", *("right",) * len(_BANDS)))


def _times(record: Record) -> list[str]:
    from tabulate import tabulate

    from fcnbench.records.evaluation import Summary

    timing, parts = record.evaluation.timing, []
    if timing.images:
        summaries = {phase: Summary.of(samples) for phase, samples in timing.phases.items()}
        rows = [[phase, *(f"{x:.2f}" for x in (each.median, each.p90, each.p99))] for phase, each in summaries.items()]
        headers = ["ms per image", "median", "p90", "p99"]
        parts.append(tabulate(rows, headers=headers, stralign="right", colalign=("left",), disable_numparse=True))
        parts.append(f"{timing.images_per_second:.1f} images/s over {timing.images} images")
        if record.evaluation.execution is not None:
            parts.append(record.evaluation.execution.describe())
    if record.evaluation.resumed:
        parts.append(f"{record.evaluation.resumed} images taken over from an interrupted run")
    if timing.paper:
        paper = Summary.of(timing.paper)
        parts.append(
            f"forward at 500x500, batch 1: median {paper.median:.1f} ms, mean {paper.mean:.1f} ms "
            f"over {len(timing.paper)} trials"
        )
    return parts


def _no_board(record: Record) -> str:
    """Return why a run enters no board."""
    if record.protocol.partial:
        return "none: a part of a split enters no board"
    if record.leakage.unlisted:
        return "none: whether the model was trained on these images is not known"
    return "none: a model is not ranked on images that it was trained on"
