"""`run`: a model on a dataset, to a record and a board row.

Everything heavy is imported inside the functions, since `import fcnbench` must stay quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import DatasetLike, ModelLike, dataset_name
from fcnbench.api.plan import Plan, check_device, plan_run
from fcnbench.errors import Interrupted, UsageError
from fcnbench.models.names import dense_factor
from fcnbench.options import DEFAULT_DATASET, RunOptions
from fcnbench.protocol import Choices, choices_of
from fcnbench.util import files
from fcnbench.util.consent import accepting, require_consent
from fcnbench.util.console import quiet

if TYPE_CHECKING:
    from fcnbench.api.result import Run
    from fcnbench.evaluation.distributed import Ranks
    from fcnbench.evaluation.run import Job
    from fcnbench.records.identity import Identity


def run(
    model: ModelLike | None = None,
    dataset: DatasetLike | None = None,
    *,
    weights: str | Path | None = None,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    limit: int | None = None,
    dense: str | None = None,
    device: str = "auto",
    precision: str | None = None,
    compiled: bool | None = None,
    fast: bool = True,
    batch: int = 1,
    trials: int | None = None,
    signature: str | None = None,
    save_predictions: str | Path | None = None,
    margins: bool = False,
    certify: bool = False,
    board: str | Path | None = None,
) -> Run:
    """Evaluate a model on a dataset in the papers' protocol, and write its record and its board row.

    Args:
        model: registered name, `path/to/file.py:factory`, `scheme:argument`, `torch.nn.Module`, segmenter, or factory.
        dataset: name of the dataset, its specification, or what `fcnbench.load_dataset` returned; `pocket` by default.
        weights: argument of the model's factory: a path, `random:SEED`, ...; published weights by default.
        from_: the user's own archive or extracted folder of the dataset.
        allow_partial: accept an incomplete dataset; the result is marked `n/N`.
        accept_terms: agree to the terms of archives and weights that have to be downloaded; remembered.
        limit: score only the first `limit` images; the result is marked `n/N`.
        dense: `shift-and-stitch` to run a network of stride 32 for a score at every pixel, or `shift-and-stitch:F` for
            scores that are only F times as dense.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...
        precision: `fp32`, `tf32`, `bf16` or `fp16`; by default the signature's, or fp32.
        compiled: compile the network by `torch.compile`; the fast path is left out.
        fast: take the fast path of the papers' VGG nets: the same function, summed in another order.
        batch: images of one size that go through the network together; halved where memory does not suffice.
        trials: forward passes at 500x500 to time after the run; by default the papers' 20, none with `limit`.
        signature: reproduce the protocol of this signature, or say which part cannot be reproduced.
        save_predictions: a new folder for the predicted label maps as index PNGs, for VOC in the devkit's layout.
        margins: count the pixels whose two largest logits nearly tie, so that `check` can tell flips from drift.
        certify: predict a few images again, in a batch of two and on one thread, and record the flipped pixels.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.

    Raises:
        UsageError: an argument is wrong, a name unknown, or the signature's protocol cannot be reproduced.
        DataError: the dataset is missing, incomplete or corrupt.
        ModelError: the model or its weights are unusable, or its logits wrong.
        OutputError: record, predictions or board could not be written.
        RankLost, Interrupted: another process failed, or the user stopped the run; the same call continues it.

    >>> import fcnbench
    >>> fcnbench.run("fcn8s-pocket", "pocket", limit=2).record.protocol.signature()
    'fcn2|data:pocket#2/64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32'
    """
    result = run_unless(RunOptions.of(locals()), None)
    assert result is not None  # there is nothing to reuse
    return result


def run_unless(options: RunOptions, earlier: Identity | None) -> Run | None:
    """Run as `run` does, unless everything that an earlier result depends on is as it was: then return None.

    Args:
        options: the options of `run`.
        earlier: identity of the earlier result; None where there is none.
    """
    choices = _choices(options.dataset, options.signature)
    planned = plan_run(options, choices.dataset)
    # Absolute, for the model's code may change the working directory.
    root = planned.results.absolute()
    target = Path(options.save_predictions).expanduser().absolute() if options.save_predictions is not None else None
    check_device(options.forward.device, planned.model)
    if options.dense is not None:
        dense_factor(options.dense)
    files.check_writable(root / "submissions")
    if target is not None:
        files.check_target_free(target)
    require_consent(planned.downloads, options.data.accept_terms)
    from fcnbench.api.result import Run
    from fcnbench.evaluation.run import run_job

    job = _job(options, planned, choices, root, target)
    with _prepared(job) as ranks:
        filed = run_job(job, ranks, earlier)
    if filed is None:
        return None
    # Paths are reported as the user gave them.
    board = None if filed.board is None else planned.results / filed.board.relative_to(root)
    return replace(Run.of(filed), path=planned.results / filed.path.relative_to(root), board=board)


def _job(options: RunOptions, planned: Plan, choices: Choices, root: Path, target: Path | None) -> Job:
    """Return what is run, with the precision and the device that were chosen."""
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.precision import FP32, Precision
    from fcnbench.evaluation.run import Job

    device = choose_device(options.forward.device)
    wanted = Precision.parse(choices.precision or FP32.name)
    compiled = wanted.compiled if options.forward.compiled is None else options.forward.compiled
    precision = Precision(options.forward.precision or wanted.format, compiled)
    precision.check_device(device)
    given = options.model
    model = planned.model if given is None or isinstance(given, str) else given
    return Job(
        options,
        model,
        planned.weights,
        spec=planned.data.spec,
        loaded=planned.data.loaded,
        mean=choices.mean,
        device=device,
        precision=precision,
        root=root,
        target=target,
    )


@contextmanager
def _prepared(job: Job) -> Iterator[Ranks]:
    """Give the group of processes that share a job; process state and a model that is an object are restored."""
    from fcnbench.evaluation.distributed import process_group
    from fcnbench.models.objects import kept_as_it_was
    from fcnbench.models.torch_state import protected

    with ExitStack() as stack:
        # A user's own model may build on networks whose weights are downloaded.
        stack.enter_context(accepting(job.options.data.accept_terms))
        ranks = stack.enter_context(process_group())
        stack.enter_context(quiet(not ranks.is_rank0))
        stack.enter_context(protected())
        stack.enter_context(kept_as_it_was(job.model))
        try:
            yield ranks
        except Interrupted as error:
            if job.named:
                raise
            raise Interrupted(
                error.message, "run it again: a model that is an object starts over, one that is named goes on"
            ) from error


def _choices(dataset: DatasetLike | None, signature: str | None) -> Choices:
    """Return the dataset, the mean and the precision, from `--dataset` and `--signature`."""
    name = None if dataset is None else dataset_name(dataset)
    if signature is None:
        return Choices(DEFAULT_DATASET if name is None else name)
    choices = choices_of(signature)
    if name is not None and name != choices.dataset:
        raise UsageError(
            f"--dataset {name} is not the dataset of the signature, {choices.dataset}", "drop one of the two"
        )
    return choices
