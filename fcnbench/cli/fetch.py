"""`fcnbench fetch`: download a dataset and build its store, or check its mirrors."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json
from fcnbench.errors import CheckFailed, UsageError


def execute(options: argparse.Namespace) -> int:
    """Fetch a dataset, and print what its store holds."""
    if options.check_urls:
        return _check_urls(options)
    if options.dataset is None:
        raise UsageError("fetch needs the name of a dataset", "`fcnbench list datasets` shows all")
    from fcnbench.api.fetch import fetch

    data = fetch(**arguments(options))
    manifest = data.manifest
    if options.json:
        print_json(
            {
                "dataset": manifest.dataset,
                "variant": manifest.variant,
                "complete": manifest.complete,
                "images": manifest.images,
                "labels": len(manifest.rows),
                "total": manifest.total,
                "source": manifest.provenance,
                "fingerprint": manifest.fingerprint,
                "store": str(data.folder),
            }
        )
    else:
        extent = "whole" if manifest.complete else "PARTIAL"
        print(
            f"{manifest.dataset} ({manifest.variant}), {extent}: {manifest.images} of {manifest.total} images, "
            f"{len(manifest.rows)} label maps\nsource       {manifest.provenance}\n"
            f"fingerprint  {manifest.fingerprint}\nstore        {data.folder}"
        )
    return 0


def _check_urls(options: argparse.Namespace) -> int:
    """Check the mirrors; return exit code 1 if an archive has none that answers."""
    from fcnbench.api.fetch import check_urls

    archives = check_urls(options.dataset)
    reachable = all(any(mirror.sound for mirror in mirrors) for mirrors in archives.values())
    if options.json:
        print_json({"archives": {name: [asdict(mirror) for mirror in mirrors] for name, mirrors in archives.items()}})
    elif not archives:
        print(f"{options.dataset} has no archives to download")
    else:
        for name, mirrors in archives.items():
            print(name)
            for mirror in mirrors:
                print(f"  {'ok  ' if mirror.sound else 'DEAD'}  {mirror.url}: {mirror.answer}")
    return 0 if reachable else CheckFailed.exit_code
