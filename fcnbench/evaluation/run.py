"""The procedure of a run: load model and dataset, evaluate, and file the record."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fcnbench.datasets.leakage import Leakage
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.errors import UsageError
from fcnbench.evaluation.distributed import Ranks
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.filed_record import broadcast_filed
from fcnbench.evaluation.identity import DependencyTracker, content_digest, identity_difference
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.model_facts import code_of, facts_of, leakage_of
from fcnbench.evaluation.near_ties import NearTieCount
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.precision import Precision
from fcnbench.evaluation.reproducibility import check_reproducibility
from fcnbench.evaluation.timing import PAPER_TRIALS
from fcnbench.leaderboard.filing import Filed, file_record
from fcnbench.metrics.counts import Count, confusion_counts
from fcnbench.models.load import LoadedModel, open_model
from fcnbench.models.networks import state_digest
from fcnbench.models.segmenter import is_oracle, modalities_of, module_of
from fcnbench.options import RunOptions
from fcnbench.protocol import RULES_VERSION, MeanOver, Protocol
from fcnbench.records.assemble import assemble, protocol_of
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import Evaluation
from fcnbench.records.identity import Identity
from fcnbench.records.model import ModelFacts
from fcnbench.records.predictions import PredictionWriter
from fcnbench.util.console import listed, note
from fcnbench.util.packages import imported_packages


@dataclass(frozen=True)
class Job:
    """What is run: the options, and what follows from them.

    Attributes:
        options: the options of `run`.
        model: name of the model, or the model itself.
        weights: what the model's factory is given.
        spec: specification of the dataset.
        loaded: the dataset, where it was given loaded.
        mean: classes that mean IU runs over.
        device: where the forward passes run.
        precision: precision of the forward passes.
        root: folder of `submissions/` and `leaderboards/`, absolute.
        target: folder of the predicted label maps, absolute; None where they are not saved.
    """

    options: RunOptions
    model: Any
    weights: str | None
    spec: DatasetSpec
    loaded: Dataset | None
    mean: MeanOver
    device: torch.device
    precision: Precision
    root: Path
    target: Path | None

    @property
    def named(self) -> bool:
        """Whether the model is given by its name: what a later run can be compared with."""
        return isinstance(self.model, str)

    @property
    def fast(self) -> bool:
        """Whether the fast path may be taken."""
        return self.options.forward.fast and not self.precision.compiled

    @property
    def timed(self) -> int:
        """Forward passes at 500x500 to time."""
        usual = PAPER_TRIALS if self.options.limit is None else 0
        return usual if self.options.trials is None else self.options.trials

    @property
    def extra_counts(self) -> tuple[Count, ...]:
        """What is counted beside the confusion matrices, because an option asks for it."""
        return (NearTieCount(self.spec.label_space),) if self.options.margins else ()

    def data(self) -> Dataset:
        """Load the dataset."""
        if self.loaded is not None:
            return self.loaded
        options = self.options.data
        source = None if options.source is None else Path(options.source).expanduser()
        return load_dataset(self.spec, source, options.allow_partial, options.accept_terms)


@dataclass(frozen=True, eq=False)
class _Setup:
    """What is known of a run before its first image.

    Attributes:
        loaded: the model.
        data: the dataset.
        indices: indices of the images that are scored.
        protocol: what is scored, and how.
        facts: what the record keeps of the model.
        environment: what it runs on.
        leakage: the model's training images among the evaluated ones.
        work: everything that an image's integers depend on.
        witness: notes what takes part later.
    """

    loaded: LoadedModel
    data: Dataset
    indices: list[int]
    protocol: Protocol
    facts: ModelFacts
    environment: Environment
    leakage: Leakage
    work: dict[str, str]
    witness: DependencyTracker

    @property
    def oracle(self) -> bool:
        """Whether the model makes its predictions of the ground truth."""
        return is_oracle(self.loaded.segmenter)


def run_job(job: Job, ranks: Ranks, earlier: Identity | None) -> Filed | None:
    """Run this process's share of a job, and return the whole result; None where the earlier result still holds."""
    spec, setup = job.spec, _set_up(job, ranks)
    if earlier is not None:
        changed = ranks.broadcast_from_rank0(lambda: identity_difference(earlier, setup.work, setup.witness))
        if not changed:
            return None
        note(f"run again: {changed}")
    extra = job.extra_counts
    counts = (*confusion_counts(spec.label_space, spec.geo), *extra)
    with Journal(setup.work, [count.spec for count in counts], ranks.rank, setup.witness) as journal:
        name = ranks.broadcast_from_rank0(lambda: journal.name)
        writer = PredictionWriter(job.target, spec.devkit_set, name) if job.target is not None else None
        pipeline = ImagePipeline(setup.loaded.segmenter, setup.data, job.device, writer, extra)
        try:
            evaluation = evaluate(
                pipeline,
                setup.indices,
                journal,
                0 if setup.oracle else job.timed,
                precision=job.precision,
                batch=job.options.forward.batch,
                ranks=ranks,
                what=f"{setup.facts.name} on {spec.name}",
            )
            done = broadcast_filed(ranks, lambda: _filed(job, setup, evaluation, pipeline, writer))
        except BaseException:
            if not job.named:
                journal.forget()  # no other run will read it
            raise
        journal.forget()
    return done


def _set_up(job: Job, ranks: Ranks) -> _Setup:
    """Load the model and the dataset, and refuse what can't be run."""
    spec, space = job.spec, job.spec.label_space
    loaded = open_model(
        job.model, job.weights, space.num_classes, classes=space.classes, dense=job.options.dense, fast=job.fast
    )
    oracle = is_oracle(loaded.segmenter)
    if oracle and not job.precision.plain:
        raise UsageError(f"{loaded.name} has no forward pass to run in {job.precision.name}", "drop --precision")
    if not oracle:
        job.precision.compile_network(loaded.segmenter)
    # The first process downloads and builds; the others find it done where they share its disk.
    data = ranks.rank0_first(job.data)
    modalities = modalities_of(loaded.segmenter)
    indices = scorable(data, job.options.limit, modalities)
    modality = "+".join(modalities) or "truth"
    protocol = protocol_of(spec, data, len(indices), modality, job.precision.name, job.mean)
    if job.options.signature is not None:
        _refuse_departures(protocol, job.options.signature)
    facts, environment = facts_of(loaded), describe(job.device)
    check_same_device(environment, ranks)
    leakage = leakage_of(loaded, [data.manifest.rows[index].id for index in indices], spec.split.name)
    work = _work(job, loaded, facts, data, environment)
    if not job.named:
        # Nothing could show later that an object is still the same: no other run has this identity.
        work["object"] = ranks.broadcast_from_rank0(secrets.token_hex)
    return _Setup(loaded, data, indices, protocol, facts, environment, leakage, work, DependencyTracker(loaded.sources))


def _filed(
    job: Job, setup: _Setup, evaluation: Evaluation, pipeline: ImagePipeline, writer: PredictionWriter | None
) -> Filed:
    """Write the record, the board that it may enter, and the predictions."""
    environment = setup.environment
    if writer is not None:
        writer.refuse_gaps(evaluation.ids)
    record = assemble(
        job.spec,
        setup.data,
        model=setup.facts,
        protocol=setup.protocol,
        leakage=setup.leakage,
        evaluation=evaluation if setup.oracle else _checked(job, evaluation, pipeline, setup.indices),
        environment=replace(environment, packages=environment.packages | imported_packages()),
        code=code_of(setup.loaded.sources),
    )
    filed = file_record(record, job.root)
    if writer is not None:
        writer.publish(frozenset(evaluation.ids))
    setup.witness.update()
    return replace(filed, identity=Identity(setup.work, setup.witness.facts))


def _checked(job: Job, evaluation: Evaluation, pipeline: ImagePipeline, indices: list[int]) -> Evaluation:
    """Return the evaluation with its reproducibility check, where that is asked for or the precision is not fp32."""
    if not job.options.certify and job.precision.plain:
        return evaluation
    return replace(
        evaluation, reproducibility=check_reproducibility(pipeline, indices, job.precision, every=job.options.certify)
    )


def _refuse_departures(protocol: Protocol, signature: str) -> None:
    """Refuse a run whose protocol is not the signature's."""
    if departures := protocol.departures(signature):
        hint = "drop --signature, or give the model, data and options that it was made with"
        if "#" in signature and "/" in signature.partition("#")[2].partition("|")[0]:
            hint = "a part does not say which images it has: give the --limit or the --from that made it"
        raise UsageError(
            f"this run can't have the protocol {signature}: {'; '.join(departures)} (it would be "
            f"{protocol.signature()})",
            hint,
        )


def check_same_device(environment: Environment, ranks: Ranks) -> None:
    """Check that all processes run on the same kind of device, because a record names one.

    Args:
        environment: the environment of this process.
        ranks: the processes of the run.

    Raises:
        UsageError: they do not.

    >>> import torch
    >>> from fcnbench.evaluation.distributed import SINGLE_PROCESS
    >>> check_same_device(describe(torch.device("cpu")), SINGLE_PROCESS)
    """
    name = environment.device_name if environment.device != "cpu" else ""
    kinds = sorted(set(ranks.all_gather(f"{environment.device} {name}".strip())))
    if len(kinds) > 1:
        raise UsageError(
            f"the processes of this run have devices of several kinds: {listed(kinds)}",
            "give all of them the same --device, on machines with the same",
        )


def _work(job: Job, loaded: LoadedModel, facts: ModelFacts, data: Dataset, environment: Environment) -> dict[str, str]:
    """Everything that an image's integers depend on: the identity of the journal."""
    return {
        "code": loaded.sources.digest,
        **{key: str(value) for key, value in asdict(facts).items()},
        "state": state_digest(loaded.segmenter, module_of(loaded.segmenter)),
        "weights content": "" if facts.provider == "fcnbench" else content_digest(loaded.weights),
        "data": data.manifest.fingerprint,
        "label space": f"{data.manifest.label_space} {data.manifest.classes} {data.manifest.ignore}",
        "device": f"{environment.device} {environment.device_name}",
        "versions": f"{environment.python} {environment.packages} {environment.decoder} {environment.revision}",
        "what is counted": str([count.spec for count in job.extra_counts]),
        "forward": f"{job.precision.name} fast={job.fast} batch={job.options.forward.batch}",
        "protocol": str(RULES_VERSION),
    }
