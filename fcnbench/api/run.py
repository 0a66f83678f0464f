"""`run`: a model on a dataset, to a record and a board row.

Everything heavy is imported inside the functions, since `import fcnbench` must stay quick.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.defaults import DEFAULT_DATASET
from fcnbench.api.plan import check_device, plan
from fcnbench.errors import UsageError
from fcnbench.models.names import dense_factor
from fcnbench.options import RunOptions
from fcnbench.protocol import PRECISIONS, Choices, choices_of
from fcnbench.util import files
from fcnbench.util.consent import accepting, require_consent
from fcnbench.util.console import quiet

if TYPE_CHECKING:
    from fcnbench.api.result import Run
    from fcnbench.records.identity import Identity


def run(
    model: str | None = None,
    dataset: str | None = None,
    *,
    weights: str | Path | None = None,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    limit: int | None = None,
    device: str = "auto",
    dense: str | None = None,
    fast: bool = True,
    precision: str | None = None,
    compiled: bool | None = None,
    batch: int = 1,
    trials: int | None = None,
    signature: str | None = None,
    save_predictions: str | Path | None = None,
    margins: bool = False,
    certify: bool = False,
    board: str | Path | None = None,
) -> Run:
    """Evaluate a model on a data set in the papers' protocol, and write its record and its board row.

    In a process that torchrun started it does its share, and gives the result of all.

    Args:
        model: registered name, `path/to/file.py:factory`, or `scheme:argument`; `fcn8s-pocket` by default, where the
            dataset has its classes.
        dataset: name of the dataset; `pocket` by default.
        weights: handed to the model's factory: a path, `random:SEED`, or whatever the model understands; the papers'
            networks take their published weights by default.
        from_: the user's own archive or extracted folder of the data set.
        allow_partial: score what is there of an incomplete data set; the result is marked `n/N`.
        accept_terms: agree to the terms of archives and weights that have to be downloaded; remembered.
        limit: score only the first so many images; the result is marked `n/N`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...
        dense: `shift-and-stitch` to run a net of stride 32 densely, `shift-and-stitch:F` by a factor F only.
        fast: take the fast path of the papers' VGG nets: the same function, summed in another order.
        precision: arithmetic of the forward pass, part of the signature: `fp32`, `tf32`, `bf16`, `fp16`. Any but fp32
            is held against it on a probe of images, and the pixels that change class are recorded. By default the
            signature's, or fp32.
        compiled: have the network compiled by `torch.compile`, likewise; the fast path is left out.
        batch: pictures of one size that go through the network together; halved where memory does not suffice.
        trials: forward passes at 500x500 to time after the run; by default the papers' 20, none with `limit`.
        signature: reproduce the protocol of this signature, short or long, or say which part of it can't be.
        save_predictions: a new folder for the predicted label maps, index PNGs with the VOC palette; for the VOC tasks
            in the layout of the devkit's results.
        margins: count the pixels whose two largest logits nearly tie, so that `check` can tell flips from drift.
        certify: predict a probe of images again, in a batch of two and on one thread, and record the flipped pixels.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.

    Raises:
        UsageError: an argument is wrong, a name unknown, or the signature's protocol not the one that would be run.
        DataError: the data set is missing, incomplete or corrupt.
        ModelError: the model or its weights are unusable, or its logits wrong.
        OutputError: record, predictions or board could not be written.
        RankLost: another process of the run failed or is gone; the same call goes on from there.
        Interrupted: stopped by the user; the same call goes on from there.
    """
    options = RunOptions(
        model,
        dataset,
        weights=weights,
        from_=from_,
        allow_partial=allow_partial,
        accept_terms=accept_terms,
        limit=limit,
        device=device,
        dense=dense,
        fast=fast,
        precision=precision,
        compiled=compiled,
        batch=batch,
        trials=trials,
        signature=signature,
        save_predictions=save_predictions,
        margins=margins,
        certify=certify,
        board=board,
    )
    done = run_unless(options, None)
    assert done is not None  # there is nothing to reuse
    return done


def run_unless(options: RunOptions, earlier: Identity | None) -> Run | None:
    """Run as `run` does, unless everything that an earlier result depends on is as it was: then return None.

    Args:
        options: the arguments of `run`.
        earlier: identity of the earlier result; None where there is none.
    """
    choices = _choices(options.dataset, options.signature)
    planned = plan(
        options.model,
        choices.dataset,
        weights=options.weights,
        from_=options.from_,
        allow_partial=options.allow_partial,
        board=options.board,
    )
    # Absolute, for the model's code may change the working directory.
    root = planned.results.absolute()
    target = Path(options.save_predictions).expanduser().absolute() if options.save_predictions is not None else None
    check_device(options.device, planned.model)
    if options.precision is not None and options.precision not in PRECISIONS:
        raise UsageError(f"--precision {options.precision} is unknown", f"choose one of {', '.join(PRECISIONS)}")
    if options.dense is not None:
        dense_factor(options.dense)
    files.check_writable(root / "submissions")
    if target is not None:
        files.check_target_free(target)
    require_consent(planned.downloads, options.accept_terms)
    from fcnbench.api.result import Run
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.distributed import process_group
    from fcnbench.evaluation.precision import FP32, Precision
    from fcnbench.evaluation.run import Job, run_job
    from fcnbench.models.torch_state import protected

    on = choose_device(options.device)
    wanted = Precision.parse(choices.precision or FP32.name)
    compiled = wanted.compiled if options.compiled is None else options.compiled
    precision = Precision(options.precision or wanted.format, compiled)
    precision.check_device(on)
    job = Job(options, planned.model, planned.weights, choices, on, precision, root, target)
    # A user's own model may build on networks whose weights are downloaded.
    with accepting(options.accept_terms), process_group() as ranks, quiet(not ranks.is_rank0), protected():
        filed = run_job(job, ranks, earlier)
    if filed is None:
        return None
    # Paths are told as the user gave them.
    board = None if filed.board is None else planned.results / filed.board.relative_to(root)
    return replace(Run.of(filed), path=planned.results / filed.path.relative_to(root), board=board)


def _choices(dataset: str | None, signature: str | None) -> Choices:
    """The task, the policy for absent classes and the arithmetic, from `--dataset` and `--signature`."""
    if signature is None:
        return Choices(DEFAULT_DATASET if dataset is None else dataset)
    choices = choices_of(signature)
    if dataset is not None and dataset != choices.dataset:
        raise UsageError(
            f"--dataset {dataset} is not the data set of the signature, {choices.dataset}", "drop one of the two"
        )
    return choices
