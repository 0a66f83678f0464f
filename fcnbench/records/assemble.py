"""Puts a record together: the protocol of what was scored, and the facts of its data."""

from __future__ import annotations

from fcnbench.datasets.leakage import Leakage
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.protocol import GIVEN, UNKNOWN, MeanOver, Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import Evaluation
from fcnbench.records.model import CodeFacts, DataFacts, ModelFacts, Record, new_run
from fcnbench.util.version import __version__


def protocol_of(
    spec: DatasetSpec, data: Dataset, images: int, modality: str, precision: str = UNKNOWN, mean: MeanOver = "gt"
) -> Protocol:
    """Return the protocol of scoring this many images of a dataset."""
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
        mean=mean,
        infer=UNKNOWN if modality == GIVEN else "native",
        precision=precision,
    )


def assemble(
    spec: DatasetSpec,
    data: Dataset,
    *,
    model: ModelFacts,
    protocol: Protocol,
    leakage: Leakage,
    evaluation: Evaluation,
    environment: Environment,
    code: CodeFacts | None = None,
) -> Record:
    """Return the record of an evaluation, under a new name.

    Args:
        spec: the dataset's specification.
        data: its store.
        model: what is known of the model.
        protocol: what was scored, and how.
        leakage: what the model declares of its training, and which evaluated images are among that.
        evaluation: integers, digests and times.
        environment: what it ran on.
        code: the user's own source files; None where none took part.
    """
    name, created = new_run()
    return Record(
        run=name,
        created=created,
        fcnbench=__version__,
        model=model,
        protocol=protocol,
        data=DataFacts(data.manifest.fingerprint, data.manifest.labels, data.manifest.provenance),
        leakage=leakage,
        classes=spec.label_space.classes,
        geo_classes=spec.geo.classes if spec.geo else (),
        evaluation=evaluation,
        environment=environment,
        code=code,
    )
