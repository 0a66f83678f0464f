"""A sweep on a SLURM cluster with submitit: an array of jobs, one per cell.

    pip install 'fcnbench[submitit]'
    python examples/clusters/slurm_sweep.py sweep.toml --board /shared/results --partition gpu --gpus 1

A job that is preempted or runs out of time is queued again. It continues from its journal if the home folder of
fcnbench (FCNBENCH_HOME) is on a disk that all nodes share. `--cluster local` runs the jobs as processes of this
machine. When all jobs are done, `fcnbench run --sweep sweep.toml --board /shared/results` prints the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import submitit

import fcnbench
from fcnbench.api.sweep import Outcome
from fcnbench.api.sweep_file import Cell, Sweep


class Job:
    """The job of one cell. Before a preemption, submitit calls `checkpoint` and submits the job that it returns."""

    def __call__(self, plan: Sweep, cell: Cell, board: Path) -> Outcome:
        """Run the cell, unless it has a record."""
        return fcnbench.run_cell(plan, cell, board=board)

    def checkpoint(self, plan: Sweep, cell: Cell, board: Path) -> submitit.helpers.DelayedSubmission:
        """Return the same job, which will continue from the journal."""
        return submitit.helpers.DelayedSubmission(self, plan, cell, board)


def main() -> None:
    """Submit the cells, wait for them, and print which failed."""
    parser = argparse.ArgumentParser(description="a sweep on a SLURM cluster")
    parser.add_argument("sweep", type=Path, help="TOML file, as for fcnbench run --sweep")
    parser.add_argument("--board", type=Path, default=Path(), help="folder of submissions/, shared by all nodes")
    parser.add_argument("--cluster", help="slurm, or local for this machine (default: slurm if available)")
    parser.add_argument("--partition", help="SLURM partition")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs per job (default: %(default)s)")
    parser.add_argument("--cpus", type=int, default=4, help="CPUs per job (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=240, help="time limit per job (default: %(default)s)")
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
