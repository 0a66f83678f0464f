"""Facts of a loaded model for its record: where it comes from, its source files, and its leakage."""

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
    """Return what a record keeps of a model."""
    segmenter = loaded.segmenter
    digest = weights_digest(segmenter)
    if digest is None and (content := content_digest(loaded.weights)):
        digest = content
    if digest is None and len(networks := networks_in(segmenter)) == 1:
        digest = weights_digest(ModuleSegmenter(networks[0]))
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
    """Return what a record keeps of the user's own source files; None where none took part."""
    sources.look()
    if not sources:
        return None
    revision, dirty = revision_of(sources.paths[0].parent, sources.paths)
    return CodeFacts(sources.digest, dict(sources.files), revision, dirty)


def leakage_of(loaded: LoadedModel, evaluated: list[str], split: str) -> Leakage:
    """Return the model's training images among the evaluated ones; name them on standard error."""
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
