"""A sweep on a Ray cluster, with one task per cell.

    pip install ray
    python examples/clusters/ray_sweep.py sweep.toml --board /shared/results --gpus 1

Without a cluster, Ray starts one on this machine. A task whose node dies is restarted on another node. It continues
from its journal if the home folder of fcnbench (FCNBENCH_HOME) is on a disk that all nodes share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray

import fcnbench


def main() -> None:
    """Submit the cells, wait for them, and print which failed."""
    parser = argparse.ArgumentParser(description="a sweep on a Ray cluster")
    parser.add_argument("sweep", type=Path, help="TOML file, as for fcnbench run --sweep")
    parser.add_argument("--board", type=Path, default=Path(), help="folder of submissions/, shared by all nodes")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs per task (default: %(default)s)")
    parser.add_argument("--cpus", type=float, default=1, help="CPUs per task (default: %(default)s)")
    options = parser.parse_args()

    plan, board = fcnbench.read_sweep(options.sweep), options.board.resolve()
    ray.init()
    task = ray.remote(num_cpus=options.cpus, num_gpus=options.gpus, max_retries=3)(fcnbench.run_cell)
    outcomes = ray.get([task.remote(plan, cell, board=board) for cell in plan.cells])
    ray.shutdown()
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        print(f"failed: {outcome.cell.name}: {outcome.error}")
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} cells have a record below {board / 'submissions'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
