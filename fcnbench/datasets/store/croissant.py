"""Croissant 1.1: a JSON-LD description of a store for other tools.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fcnbench.datasets.archive.catalogue import known_archives
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.columns import PARQUET_NAME, columns_of
from fcnbench.datasets.store.manifest import Manifest
from fcnbench.util import files
from fcnbench.util.digests import digest_file
from fcnbench.util.version import __version__

CROISSANT_NAME = "croissant.json"

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The standard context of Croissant 1.1."""

_TEXTS = {
    "id": "image id",
    "image": "the original image file",
    "label": "8-bit PNG; value = class index, 255 = not scored",
    "classes": "indices of the classes in the label map",
    "height": "pixels",
    "width": "pixels",
    "depth": "16-bit grey image, millimetres",
    "hha": "horizontal disparity, height above ground, angle with gravity",
    "label_geo": "second label map: 8-bit PNG; value = class index, 255 = not scored",
}
_TYPES = {"string": "sc:Text", "int32": "sc:Integer", "ClassLabel": "sc:Integer", "Image": "sc:ImageObject"}


def write_croissant(spec: DatasetSpec, manifest: Manifest, folder: Path) -> None:
    """Write `croissant.json` into the folder of a store.

    Raises:
        OutputError: the file can't be written.
    """
    files.write_json(folder / CROISSANT_NAME, croissant(spec, manifest, folder / PARQUET_NAME))


def croissant(spec: DatasetSpec, manifest: Manifest, parquet: Path) -> dict[str, Any]:
    """Return the description of a store as JSON-LD.

    Args:
        spec: the dataset.
        manifest: the manifest of the store.
        parquet: the Parquet file, for its size and digest.
    """
    extent = "" if manifest.complete else f" Partial: {manifest.images} of {manifest.total} images."
    classes = ", ".join(f"{index} {name}" for index, name in enumerate(manifest.classes))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": spec.name,
        "description": f"{spec.title}.{extent} Classes: {classes}; 255 is not scored.",
        "citeAs": spec.citation or spec.name,
        "license": f"Terms: {spec.terms or 'unknown'}",
        "url": known_archives()[spec.archives[0][0]].urls[0] if spec.archives else f"urn:fcnbench:{spec.name}",
        "version": "1.0.0",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "creator": {"@type": "sc:Organization", "name": f"fcnbench {__version__}"},
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": PARQUET_NAME,
                "name": PARQUET_NAME,
                "description": f"All samples; fcnbench fingerprint {manifest.fingerprint}.",
                "contentUrl": PARQUET_NAME,
                "contentSize": f"{parquet.stat().st_size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": digest_file(parquet).removeprefix("sha256:"),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "description": "One record per image.",
                "key": {"@id": "samples/id"},
                "field": [_field(name, kind) for name, kind in columns_of(spec).items()],
            }
        ],
    }


def _field(name: str, kind: str) -> dict[str, Any]:
    source: dict[str, Any] = {"fileObject": {"@id": PARQUET_NAME}, "extract": {"column": name}}
    if kind == "Image":
        source["transform"] = {"jsonPath": "bytes"}
    field = {
        "@type": "cr:Field",
        "@id": f"samples/{name}",
        "name": name,
        "description": _TEXTS[name],
        "dataType": _TYPES[kind],
        "source": source,
    }
    return field | ({"isArray": True, "arrayShape": "-1"} if kind == "ClassLabel" else {})
