"""Facts about a loaded model for its record: its origin, its source files, and its leakage."""

from __future__ import annotations

from pathlib import Path

from fcnbench.datasets.leakage import Leakage, find_leakage
from fcnbench.evaluation.identity import content_digest
from fcnbench.models.code.source_files import Sources
from fcnbench.models.load import LoadedModel
from fcnbench.models.networks import networks_in
from fcnbench.models.segmenter import ModuleSegmenter, weights_digest
from fcnbench.records.model import CodeFacts, ModelFacts
from fcnbench.util.console import listed, note
from fcnbench.util.git import revision_of


def facts_of(loaded: LoadedModel) -> ModelFacts:
    """Return the facts about a model that a record keeps.

    >>> from fcnbench.models.load import open_model
    >>> facts_of(open_model("fcn8s-pocket")).provider
    'fcnbench'
    """
    segmenter = loaded.segmenter
    digest = weights_digest(segmenter)
    mapping = loaded.class_mapping
    if digest is None and (content := content_digest(loaded.weights)):
        digest = content
    if digest is None and len(networks := networks_in(segmenter)) == 1:
        digest = weights_digest(ModuleSegmenter(networks[0]))
    return ModelFacts(
        name=loaded.name,
        provider=loaded.provider,
        version=loaded.version,
        # The folders of a path belong to the machine, not to the weights.
        weights=Path(loaded.weights).name if loaded.weights is not None else None,
        weights_digest=digest,
        preprocessing=str(getattr(segmenter, "preprocessing", "its own")),
        labels=None if mapping is None or mapping.identity else mapping.as_dict(),
    )


def code_of(sources: Sources) -> CodeFacts | None:
    """Return the facts about the user's source files that a record keeps; None where there are no such files."""
    sources.update()
    if not sources:
        return None
    revision, dirty = revision_of(sources.paths[0].parent, sources.paths)
    return CodeFacts(sources.digest, dict(sources.files), revision, dirty)


def leakage_of(loaded: LoadedModel, evaluated: list[str], split: str) -> Leakage:
    """Return the model's training images among the evaluated ones, and warn about them on standard error.

    Args:
        loaded: the model, which declares its training splits and ids.
        evaluated: ids of the evaluated images.
        split: name of the evaluated split.
    """
    segmenter = loaded.segmenter
    splits, ids = getattr(segmenter, "train_splits", ()), getattr(segmenter, "train_ids", ())
    leakage = find_leakage(evaluated, splits, ids, split)
    if leakage.ids:
        note(
            f"LEAK: {loaded.name} declares {len(leakage.ids)} of the {len(evaluated)} images as training images "
            f"({listed(leakage.ids)}): this run enters no board"
        )
    if leakage.unlisted:
        note(
            f"UNCLEARED: {loaded.name} declares training on {listed(leakage.unlisted)}, whose ids come with the "
            f"archive: `fcnbench fetch {leakage.unlisted[0]}` first, or this run enters no board"
        )
    if leakage.unknown:
        note(
            f"unchecked: {loaded.name} declares training on {listed(leakage.unknown)}, and no known split has this name"
        )
    return leakage
