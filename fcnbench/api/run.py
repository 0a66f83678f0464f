"""`run`: a model on a data set, to a record and a board row.

Everything heavy is imported inside the functions, since `import fcnbench` must stay quick.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.api.defaults import DEFAULT_DATASET
from fcnbench.api.plan import check_device, plan
from fcnbench.errors import UsageError
from fcnbench.models.names import dense_factor
from fcnbench.protocol import PRECISIONS, PROTOCOL_VERSION, AbsentPolicy, Choices, Protocol, choices_of
from fcnbench.records.location import MATRICES_NAME
from fcnbench.util import files, paths
from fcnbench.util.consent import accepting, require_consent
from fcnbench.util.console import hushed, listed, note
from fcnbench.util.packages import imported_packages
from fcnbench.util.version import __version__

if TYPE_CHECKING:
    import torch

    from fcnbench.datasets.leakage import Leakage
    from fcnbench.datasets.spec import DatasetSpec
    from fcnbench.datasets.store.dataset import Dataset
    from fcnbench.evaluation.distributed import World
    from fcnbench.evaluation.identity import Identity
    from fcnbench.evaluation.pipeline import Look
    from fcnbench.evaluation.precision import Arithmetic
    from fcnbench.models.code.source_files import Sources
    from fcnbench.models.load import LoadedModel
    from fcnbench.records.environment import Environment
    from fcnbench.records.evaluation import Evaluation
    from fcnbench.records.model import CodeFacts, ModelFacts, Record


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished run.

    Attributes:
        record: the result.
        path: path of `record.json`.
        board: path of the board that the run entered; None for a part of a split, and for images trained on.
        identity: everything that the result depends on; None for stored predictions.
    """

    record: Record
    path: Path
    board: Path | None
    identity: Identity | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The four metrics as fractions, `pixel_acc`, `mean_acc`, `mean_iu`, `fw_iu`, and what the task adds to them.

        `mean_iu_nobg` is the mean IU without the class `background`, where there is one; `geo_pixel_acc` the pixel
        accuracy of the second label map, where model and task have one.
        """
        return self.record.all_scores()

    def __repr__(self) -> str:
        record = self.record
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        return f"<Run of {record.model.name} on {record.protocol.dataset}, {record.protocol.count} images: {shown}>"

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from fcnbench.pages.report import card

        return card(self.record)

    def summary(self) -> dict[str, Any]:
        """What `fcnbench run --json` prints."""
        from fcnbench.records.json import summary

        board = str(self.board) if self.board else None
        return {
            **summary(self.record),
            "record": str(self.path),
            "matrices": str(self.path.with_name(MATRICES_NAME)),
            "board": board,
        }


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


@dataclass(frozen=True)
class RunOptions:
    """The arguments of `run`; see there."""

    model: str | None = None
    dataset: str | None = None
    weights: str | Path | None = None
    from_: str | Path | None = None
    allow_partial: bool = False
    accept_terms: bool = False
    limit: int | None = None
    device: str = "auto"
    dense: str | None = None
    fast: bool = True
    precision: str | None = None
    compiled: bool | None = None
    batch: int = 1
    trials: int | None = None
    signature: str | None = None
    save_predictions: str | Path | None = None
    margins: bool = False
    certify: bool = False
    board: str | Path | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit}: at least one image must be scored", "pass a positive number")
        if self.trials is not None and self.trials < 0:
            raise UsageError(f"--trials {self.trials} is negative", "pass 0 to leave the timing at 500x500 out")
        if self.batch < 1:
            raise UsageError(f"--batch {self.batch}: at least one picture must go through", "pass a positive number")


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
        files.refuse_taken(target)
    require_consent(planned.downloads, options.accept_terms)
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.distributed import the_world
    from fcnbench.evaluation.precision import FP32, Arithmetic
    from fcnbench.models.torch_state import protected

    on = choose_device(options.device)
    wanted = Arithmetic.named(choices.precision or FP32.name)
    compiled = wanted.compiled if options.compiled is None else options.compiled
    arithmetic = Arithmetic(options.precision or wanted.precision, compiled)
    arithmetic.refuse(on)
    job = _Job(options, planned.model, planned.weights, choices, on, arithmetic, root, target)
    # A user's own model may build on networks whose weights are downloaded.
    with accepting(options.accept_terms), the_world() as world, hushed(not world.first), protected():
        done = _carry_out(job, world, earlier)
    if done is None:
        return None
    # Paths are told as the user gave them.
    board = None if done.board is None else planned.results / done.board.relative_to(root)
    return replace(done, path=planned.results / done.path.relative_to(root), board=board)


@dataclass(frozen=True)
class _Job:
    """What is run: the options, and what follows from them."""

    options: RunOptions
    model: str
    weights: str | None
    choices: Choices
    on: torch.device
    arithmetic: Arithmetic
    root: Path
    target: Path | None

    @property
    def fast(self) -> bool:
        """Whether the fast path may be taken."""
        return self.options.fast and not self.arithmetic.compiled

    @property
    def timed(self) -> int:
        """Forward passes at 500x500 to time."""
        from fcnbench.evaluation.timing import PAPER_TRIALS

        usual = PAPER_TRIALS if self.options.limit is None else 0
        return usual if self.options.trials is None else self.options.trials

    def data(self) -> Dataset:
        """Load the dataset."""
        from fcnbench.datasets.load import load_dataset

        options = self.options
        source = None if options.from_ is None else Path(options.from_).expanduser()
        return load_dataset(self.choices.dataset, source, options.allow_partial, options.accept_terms)


def _carry_out(job: _Job, world: World, earlier: Identity | None) -> Run | None:
    """This process's share of a run; every process gives the whole, or None where the earlier result still holds."""
    from fcnbench.datasets.registry import find_dataset
    from fcnbench.evaluation.environment import describe
    from fcnbench.evaluation.identity import Identity, Witness
    from fcnbench.evaluation.journal import Journal
    from fcnbench.evaluation.loop import evaluate, scorable
    from fcnbench.evaluation.pipeline import Look
    from fcnbench.models.load import open_model
    from fcnbench.models.segmenter import answers_from_truth, modalities_of
    from fcnbench.records.predictions import PredictionWriter

    spec = find_dataset(job.choices.dataset)
    space = spec.label_space
    loaded = open_model(
        job.model, job.weights, space.num_classes, classes=space.classes, dense=job.options.dense, fast=job.fast
    )
    oracle = answers_from_truth(loaded.segmenter)
    if oracle and not job.arithmetic.plain:
        raise UsageError(f"{job.model} has no forward pass to run in {job.arithmetic.name}", "drop --precision")
    if not oracle:
        job.arithmetic.prepare(loaded.segmenter)
    # The first process downloads and builds; the others find it done where they share its disk.
    data = world.in_turn(job.data)
    modalities = modalities_of(loaded.segmenter)
    places = scorable(data, job.options.limit, modalities)
    modality = "+".join(modalities) or "truth"
    protocol = protocol_of(spec, data, len(places), modality, job.arithmetic.name, job.choices.absent)
    if job.options.signature is not None:
        _refuse_departures(protocol, job.options.signature)
    facts, environment = facts_of(loaded), describe(job.on)
    _refuse_mixed(environment, world)
    leakage = _leakage(loaded, [data.manifest.rows[place].id for place in places], spec.split.name)
    work = _work(job, loaded, facts, data, environment)
    witness = Witness(loaded.sources)
    if earlier is not None:
        departure = world.made_by_first(lambda: earlier.departure(work, witness))
        if not departure:
            return None
        note(f"run again: {departure}")
    geo_classes = spec.geo.num_classes if spec.geo else 0
    with Journal(work, space.num_classes, geo_classes, world.rank, witness) as journal:
        name = world.made_by_first(lambda: journal.name)
        writer = PredictionWriter(job.target, spec.devkit_set, name) if job.target is not None else None
        look = Look(loaded.segmenter, data, job.on, writer, job.options.margins)
        timed = 0 if oracle else job.timed
        evaluation = evaluate(
            look,
            places,
            journal,
            timed,
            arithmetic=job.arithmetic,
            batch=job.options.batch,
            world=world,
            what=f"{facts.name} on {spec.name}",
        )

        def finished() -> Run:
            if writer is not None:
                writer.refuse_gaps(evaluation.ids)
            done = finish(
                job.root,
                spec,
                data,
                facts=facts,
                protocol=protocol,
                leakage=leakage,
                evaluation=evaluation if oracle else _certified(job, evaluation, look, places),
                environment=replace(environment, packages=environment.packages | imported_packages()),
                code=code_of(loaded.sources),
            )
            if writer is not None:
                writer.publish(frozenset(evaluation.ids))
            witness.news()
            return replace(done, identity=Identity(work, witness.facts))

        done = world.made_by_first(finished)
        journal.forget()
    return done


def _certified(job: _Job, evaluation: Evaluation, look: Look, places: list[int]) -> Evaluation:
    """The evaluation with its certificate, where one is wanted, or the arithmetic is to be held against another."""
    if not job.options.certify and job.arithmetic.plain:
        return evaluation
    from fcnbench.evaluation.reproducibility import certify

    return replace(evaluation, certificate=certify(look, places, job.arithmetic, every=job.options.certify))


def finish(
    root: Path,
    spec: DatasetSpec,
    data: Dataset,
    *,
    facts: ModelFacts,
    protocol: Protocol,
    leakage: Leakage,
    evaluation: Evaluation,
    environment: Environment,
    code: CodeFacts | None = None,
) -> Run:
    """Write the record of an evaluation, and the board that it may enter."""
    from fcnbench.leaderboard.board import build_board
    from fcnbench.records.files import save
    from fcnbench.records.model import DataFacts, Record, new_run

    name, created = new_run()
    record = Record(
        run=name,
        created=created,
        fcnbench=__version__,
        model=facts,
        protocol=protocol,
        data=DataFacts(data.manifest.fingerprint, data.manifest.labels, data.manifest.provenance),
        leakage=leakage,
        classes=spec.label_space.classes,
        geo_classes=spec.geo.classes if spec.geo else (),
        evaluation=evaluation,
        environment=environment,
        code=code,
    )
    paths.keep_out_of_git(root)
    path = save(record, root)
    return Run(record, path, build_board(root, protocol.dataset) if record.ranked else None)


def protocol_of(
    spec: DatasetSpec, data: Dataset, images: int, modality: str, precision: str, absent: AbsentPolicy = "present"
) -> Protocol:
    """The protocol of scoring so many images of a data set."""
    return Protocol(
        dataset=spec.name,
        images=images,
        total=data.manifest.total,
        split=data.manifest.split,
        variant=data.manifest.variant,
        labelling=data.manifest.variant if data.manifest.variant in spec.labellings else "",
        modality=modality,
        label_space=spec.label_space.name,
        geo=spec.geo.name if spec.geo else "",
        classes=spec.label_space.num_classes,
        ignore=spec.label_space.ignore,
        absent=absent,
        resolution="native",
        precision=precision,
        version=PROTOCOL_VERSION,
    )


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


def facts_of(loaded: LoadedModel) -> ModelFacts:
    """What a record says of a model."""
    from fcnbench.evaluation.identity import content_digest
    from fcnbench.models.segmenter import weights_digest
    from fcnbench.records.model import ModelFacts

    segmenter = loaded.segmenter
    digest = weights_digest(segmenter)
    if digest is None and (content := content_digest(loaded.weights)):
        digest = content
    return ModelFacts(
        name=loaded.name,
        provider=loaded.provider,
        version=loaded.version,
        # A path's folders say something about a machine, not about the weights.
        weights=Path(loaded.weights).name if loaded.weights is not None else None,
        weights_digest=digest,
        preprocessing=str(getattr(segmenter, "preprocessing", "its own")),
        labels=None if loaded.labels is None or loaded.labels.identity else loaded.labels.as_dict(),
    )


def code_of(sources: Sources) -> CodeFacts | None:
    """What a record says of the user's own source files."""
    from fcnbench.records.model import CodeFacts
    from fcnbench.util.git import revision_of

    sources.look()
    if not sources:
        return None
    revision, dirty = revision_of(sources.paths[0].parent, sources.paths)
    return CodeFacts(sources.digest, dict(sources.files), revision, dirty)


def _leakage(loaded: LoadedModel, evaluated: list[str], split: str) -> Leakage:
    """What the model declares of its training, against what it is evaluated on; told at once if they meet."""
    from fcnbench.datasets.leakage import find_leakage

    segmenter = loaded.segmenter
    declared, own = getattr(segmenter, "train_splits", ()), getattr(segmenter, "train_ids", ())
    leakage = find_leakage(evaluated, declared, own, split)
    if leakage.ids:
        note(
            f"LEAK: {loaded.name} declares to be trained on {len(leakage.ids)} of the {len(evaluated)} images "
            f"({listed(leakage.ids)}): this run enters no board"
        )
    if leakage.unlisted:
        note(
            f"UNCLEARED: {loaded.name} declares training on {listed(leakage.unlisted)}, whose ids come with the "
            f"archive: `fcnbench fetch {leakage.unlisted[0]}` first, or this run enters no board"
        )
    if leakage.unknown:
        note(
            f"unchecked: {loaded.name} declares training on {listed(leakage.unknown)}, and no known split is called so"
        )
    return leakage


def _refuse_mixed(environment: Environment, world: World) -> None:
    """Refuse processes on devices of several kinds: a record names one."""
    name = environment.device_name if environment.device != "cpu" else ""
    kinds = sorted(set(world.gathered(f"{environment.device} {name}".strip())))
    if len(kinds) > 1:
        raise UsageError(
            f"the processes of this run have devices of several kinds: {listed(kinds)}",
            "give all of them the same --device, on machines with the same",
        )


def _work(job: _Job, loaded: LoadedModel, facts: ModelFacts, data: Dataset, environment: Environment) -> dict[str, str]:
    """Everything that an image's integers depend on: the identity of the journal."""
    from fcnbench.evaluation.identity import content_digest
    from fcnbench.models.networks import state_digest
    from fcnbench.models.segmenter import module_of

    return {
        "code": loaded.sources.digest,
        **{key: str(value) for key, value in asdict(facts).items()},
        "state": state_digest(loaded.segmenter, module_of(loaded.segmenter)),
        "weights content": "" if facts.provider == "fcnbench" else content_digest(loaded.weights),
        "data": data.manifest.fingerprint,
        "label space": f"{data.manifest.label_space} {data.manifest.classes} {data.manifest.ignore}",
        "device": f"{environment.device} {environment.device_name}",
        "versions": f"{environment.python} {environment.packages} {environment.decoder} {environment.revision}",
        "margins": str(job.options.margins),
        "forward": f"{job.arithmetic.name} fast={job.fast} batch={job.options.batch}",
        "protocol": str(PROTOCOL_VERSION),
    }
