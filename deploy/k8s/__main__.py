"""`python -m deploy.k8s`: writes the manifests that follow from the code, prints the secrets they name."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.k8s.manifests import HERE, manifests
from deploy.k8s.secrets import as_yaml, secrets
from deploy.k8s.workload import workloads
from omoi.credentials import read

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command("manifests")
def write(
    registry: Annotated[str, typer.Option(help="Where the images are: REGISTRY/phase.")] = "omoios",
    tag: Annotated[str | None, typer.Option(help="Tag of the images; this version when absent.")] = None,
    folder: Annotated[Path, typer.Option(help="Where base/, images/ and overlays/ are.")] = HERE,
) -> None:
    """Write the manifests of every service, and remove those of services that are no more."""
    made = {folder / path: text for path, text in manifests(workloads(), registry=registry, tag=tag)}
    for stale in set((folder / "base/services").glob("*.yaml")) - made.keys():
        stale.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


@app.command("secrets")
def print_secrets(
    credentials: Annotated[Path, typer.Argument(help="What `omoi credentials create` made.", exists=True)],
) -> None:
    """Print a Secret for each service: `python -m deploy.k8s secrets FILE | kubectl apply -f -`."""
    sys.stdout.write(as_yaml(secrets(workloads(), read(credentials))))


if __name__ == "__main__":
    app()
