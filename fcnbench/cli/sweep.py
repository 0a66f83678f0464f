"""The results of `run --sweep` as a table, and as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fcnbench.metrics.titles import HEADINGS, percent

if TYPE_CHECKING:
    from fcnbench.api.sweep import Swept


def sweep_table(done: Swept) -> str:
    """Return one line per cell: its four metrics and its speed, or its error; then the paths of the records."""
    from tabulate import tabulate

    rows = []
    for outcome in done.outcomes:
        cell, record = outcome.cell, done.record(outcome)
        row = [cell.model, cell.dataset, cell.precision]
        if record is None:
            assert outcome.error is not None
            first = str(outcome.error["message"]).splitlines()[0]
            rows.append([*row, *("-" for _ in HEADINGS), "-", f"FAILED: {outcome.error['error']}: {first}"])
            continue
        scores = record.all_scores()
        speed = f"{record.evaluation.timing.images_per_second:.1f}"
        rows.append([*row, *(percent(scores[name]) for name in HEADINGS), speed, record.protocol.count])
    headers = ["model", "dataset", "precision", *HEADINGS.values(), "images/s", "images"]
    align = ("left", "left", "left", *("right" for _ in HEADINGS), "right", "left")
    table = tabulate(rows, headers, disable_numparse=True, colalign=align)
    count = len(done.outcomes) - len(done.failed)
    said = f"{count} of {len(done.outcomes)} cells have a record below {done.board / 'submissions'}"
    more = "; the same command tries the others again" if done.failed else ""
    old = [f"taken over: {each.cell.name}, run of {each.created}\n" for each in done.outcomes if each.taken_over]
    return f"{table}\n\n{''.join(old)}{said}, outcomes in {done.board / 'sweeps'}{more}"


def summary_of(done: Swept) -> dict[str, Any]:
    """Return a sweep as JSON values."""
    cells = []
    for outcome in done.outcomes:
        record = done.record(outcome)
        scores = None if record is None else record.all_scores()
        values = {name: value for name, value in asdict(outcome).items() if name != "identity"}
        cells.append({**values, "scores": scores})
    return {"cells": cells, "failed": len(done.failed)}
