"""`run`: a model on a data set, to a record and a board row.

Everything heavy is imported inside the functions, since `import fcnbench` must stay quick.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import UsageError
from fcnbench.ground import files
from fcnbench.ground.console import listed, note
from fcnbench.ground.version import __version__
from fcnbench.protocol import PROTOCOL_VERSION, AbsentPolicy, Protocol, choices_of

if TYPE_CHECKING:
    import torch

    from fcnbench.datasets.guard import Leakage
    from fcnbench.datasets.spec import DatasetSpec
    from fcnbench.datasets.store import Dataset
    from fcnbench.evaluation.environment import Environment
    from fcnbench.evaluation.result import Certificate, Evaluation
    from fcnbench.models.load import LoadedModel
    from fcnbench.models.segmenter import Segmenter
    from fcnbench.results.record import ModelFacts, Record

DEFAULT_MODEL = "fcn8s-pocket"
DEFAULT_DATASET = "pocket"


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished run.

    Attributes:
        record: the result.
        path: path of `record.json`.
        board: path of the board that the run entered; None for a part of a split, and for images trained on.
    """

    record: Record
    path: Path
    board: Path | None

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
        from fcnbench.results.content import summary

        board = str(self.board) if self.board else None
        return {**summary(self.record), "record": str(self.path), "board": board}


def run(
    model: str = DEFAULT_MODEL,
    dataset: str | None = None,
    *,
    weights: str | Path | None = None,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    limit: int | None = None,
    device: str = "auto",
    dense: str | None = None,
    trials: int | None = None,
    signature: str | None = None,
    save_predictions: str | Path | None = None,
    margins: bool = False,
    certify: bool = False,
    board: str | Path = ".",
) -> Run:
    """Evaluate a model on a data set in the papers' protocol, and write its record and its board row.

    Args:
        model: registered name, or `path/to/file.py:factory`.
        dataset: name of the task; `pocket` by default.
        weights: handed to the model's factory: a path, `random:SEED`, or whatever the model understands.
        from_: the user's own archive or extracted folder of the data set.
        allow_partial: score what is there of an incomplete data set; the result is marked `n/N`.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        limit: score only the first so many images; the result is marked `n/N`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, ...
        dense: `shift-and-stitch` to run a net of stride 32 densely, `shift-and-stitch:F` by a factor F only.
        trials: forward passes at 500x500 to time after the run; by default the papers' 20, none with `limit`.
        signature: reproduce the protocol of this signature, short or long, or say which part of it can't be.
        save_predictions: a new folder for the predicted label maps, index PNGs with the VOC palette; for the VOC tasks
            in the layout of the devkit's results.
        margins: count the pixels whose two largest logits nearly tie, so that `check` can tell flips from drift.
        certify: predict a probe of images again, in a batch of two and on one thread, and record the flipped pixels.
        board: folder that holds `submissions/` and `leaderboards/`.

    Raises:
        UsageError: an argument is wrong, a name unknown, or the signature's protocol not the one that would be run.
        DataError: the data set is missing, incomplete or corrupt.
        ModelError: the model or its weights are unusable, or its logits wrong.
        OutputError: record, predictions or board could not be written.
        Interrupted: stopped by the user; the same call goes on from there.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: at least one image must be scored", "pass a positive number")
    if trials is not None and trials < 0:
        raise UsageError(f"--trials {trials} is negative", "pass 0 to leave the timing at 500x500 out")
    task, absent = _choices(dataset, signature)
    from fcnbench.datasets.catalogue import find_dataset
    from fcnbench.datasets.load import load_dataset
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.environment import describe
    from fcnbench.evaluation.journal import Journal
    from fcnbench.evaluation.loop import evaluate, scorable
    from fcnbench.evaluation.predictions import PredictionWriter
    from fcnbench.evaluation.timing import PAPER_TRIALS
    from fcnbench.models.load import open_model
    from fcnbench.models.segmenter import answers_from_truth, modalities_of

    root = Path(board).expanduser()
    target = Path(save_predictions).expanduser() if save_predictions is not None else None
    files.check_writable(root / "submissions")
    if target is not None:
        files.refuse_taken(target)
    on = choose_device(device)
    spec = find_dataset(task)
    space = spec.label_space
    loaded = open_model(model, weights, space.num_classes, classes=space.classes, dense=dense)
    data = load_dataset(task, from_, allow_partial, accept_terms)
    modalities = modalities_of(loaded.segmenter)
    places = scorable(data, limit, modalities)
    protocol = protocol_of(spec, data, len(places), "+".join(modalities) or "truth", "fp32", absent)
    if signature is not None:
        _refuse_departures(protocol, signature)
    if trials is None:
        trials = PAPER_TRIALS if limit is None else 0
    if answers_from_truth(loaded.segmenter):
        trials = 0
    facts, environment = facts_of(loaded), describe(on)
    leakage = _leakage(loaded, [data.manifest.rows[place].id for place in places], spec.split.name)
    geo_classes = spec.geo.num_classes if spec.geo else 0
    with Journal(_work(facts, data, environment, margins), spec.label_space.num_classes, geo_classes) as journal:
        writer = PredictionWriter(target, spec.devkit_set, journal.name) if target is not None else None
        evaluation = evaluate(loaded.segmenter, data, places, on, journal, trials, writer=writer, margins=margins)
        if certify and not answers_from_truth(loaded.segmenter):
            evaluation = replace(evaluation, certificate=_certificate(loaded.segmenter, data, places, on))
        finished = finish(
            root,
            spec,
            data,
            facts=facts,
            protocol=protocol,
            leakage=leakage,
            evaluation=evaluation,
            environment=environment,
        )
        if writer is not None:
            writer.publish()
        journal.forget()
    return finished


def _certificate(segmenter: Segmenter, data: Dataset, places: list[int], on: torch.device) -> Certificate:
    from fcnbench.evaluation.certificate import certify

    return certify(segmenter, data, places, on)


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
) -> Run:
    """Write the record of an evaluation, and the board that it may enter."""
    from fcnbench.results.board import build_board
    from fcnbench.results.record import DataFacts, Record, new_run
    from fcnbench.results.recordfile import save

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
    )
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


def _choices(dataset: str | None, signature: str | None) -> tuple[str, AbsentPolicy]:
    """The task and the policy for absent classes, from `--dataset` and `--signature`."""
    if signature is None:
        return dataset or DEFAULT_DATASET, "present"
    task, absent = choices_of(signature)
    if dataset is not None and dataset != task:
        raise UsageError(f"--dataset {dataset} is not the data set of the signature, {task}", "drop one of the two")
    return task, absent


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
    from fcnbench.models.segmenter import weights_digest
    from fcnbench.results.record import ModelFacts

    segmenter = loaded.segmenter
    return ModelFacts(
        name=loaded.name,
        provider=loaded.provider,
        version=loaded.version,
        # A path's folders say something about a machine, not about the weights.
        weights=Path(loaded.weights).name if loaded.weights is not None else None,
        weights_digest=weights_digest(segmenter),
        preprocessing=str(getattr(segmenter, "preprocessing", "its own")),
        labels=None if loaded.labels is None or loaded.labels.identity else loaded.labels.as_dict(),
    )


def _leakage(loaded: LoadedModel, evaluated: list[str], split: str) -> Leakage:
    """What the model declares of its training, against what it is evaluated on; told at once if they meet."""
    from fcnbench.datasets.guard import find_leakage

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


def _work(facts: ModelFacts, data: Dataset, environment: Environment, margins: bool) -> dict[str, str]:
    """Everything that an image's integers depend on: the identity of the journal."""
    return {
        **{key: str(value) for key, value in asdict(facts).items()},
        "data": data.manifest.fingerprint,
        "label space": f"{data.manifest.label_space} {data.manifest.classes} {data.manifest.ignore}",
        "device": f"{environment.device} {environment.device_name}",
        "versions": f"{environment.packages} {environment.decoder}",
        "margins": str(margins),
        "protocol": str(PROTOCOL_VERSION),
    }
