"""A sweep on a SLURM cluster by submitit: an array of jobs, one a cell.

    pip install 'fcnbench[submitit]'
    python examples/clusters/slurm_sweep.py sweep.toml --board /shared/results --partition gpu --gpus 1

A job that is preempted, or runs out of time, is queued again and goes on from its journal, where the home folder of
fcnbench (FCNBENCH_HOME) is on a disk that all nodes share. `--cluster local` tries the same with processes of this
machine. When all is done, `fcnbench run --sweep sweep.toml --board /shared/results` prints the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import submitit

import fcnbench
from fcnbench.api.sweep import Outcome
from fcnbench.api.sweep_file import Cell, Sweep


class Job:
    """One cell; submitit calls `checkpoint` before it takes the node away, and submits what that answers with."""

    def __call__(self, plan: Sweep, cell: Cell, board: Path) -> Outcome:
        """Run the cell, unless it has a record."""
        return fcnbench.run_cell(plan, cell, board=board)

    def checkpoint(self, plan: Sweep, cell: Cell, board: Path) -> submitit.helpers.DelayedSubmission:
        """The same again: the journal knows how far it came."""
        return submitit.helpers.DelayedSubmission(self, plan, cell, board)


def main() -> None:
    """Submit, wait, and say what failed."""
    parser = argparse.ArgumentParser(description="a sweep on a SLURM cluster")
    parser.add_argument("sweep", type=Path, help="TOML file, as for fcnbench run --sweep")
    parser.add_argument("--board", type=Path, default=Path(), help="folder of submissions/, shared by all nodes")
    parser.add_argument("--cluster", help="slurm, or local to try it here (default: slurm where there is one)")
    parser.add_argument("--partition", help="SLURM partition")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of a job (default: %(default)s)")
    parser.add_argument("--cpus", type=int, default=4, help="CPUs of a job (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=240, help="time limit of a job (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=64, help="jobs that may run at once (default: %(default)s)")
    options = parser.parse_args()

    plan, board = fcnbench.read_sweep(options.sweep), options.board.resolve()
    executor = submitit.AutoExecutor(folder=board / "sweeps" / plan.name / "jobs", cluster=options.cluster)
    executor.update_parameters(
        name=f"fcnbench-{plan.name}",
        timeout_min=options.minutes,
        cpus_per_task=options.cpus,
        gpus_per_node=options.gpus,
        slurm_array_parallelism=options.at_once,
        **({"slurm_partition": options.partition} if options.partition else {}),
    )
    count = len(plan.cells)
    jobs = executor.map_array(Job(), [plan] * count, plan.cells, [board] * count)
    failed = [outcome for job in jobs if (outcome := job.result()).error is not None]
    for outcome in failed:
        print(f"failed: {outcome.cell.name}: {outcome.error}")
    print(f"{count - len(failed)} of {count} cells have a record below {board / 'submissions'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
