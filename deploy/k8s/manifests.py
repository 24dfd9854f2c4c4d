"""The manifests that follow from the declarations of the services."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deploy.k8s.workload import ROOT, Workload
from shared.kernel.database import POOL_MAX

HERE = Path(__file__).parent
REPLICAS_MIN, REPLICAS_MAX = 2, 4
CONNECTIONS_SPARE = 20
"""For the migration, the operator, backups and a person who looks."""


def manifests(
    workloads: Sequence[Workload], *, registry: str = "omoios", tag: str | None = None
) -> Iterator[tuple[Path, str]]:
    """Path below this folder -> text of every file that is made, for images `registry/SERVICE:tag`."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, of names that our own code gives
    )
    values = {
        "workloads": workloads,
        "images": [*(workload.name for workload in workloads), "migrate"],
        "registry": registry,
        "tag": tag or version(),
        "replicas_min": REPLICAS_MIN,
        "replicas_max": REPLICAS_MAX,
        "connections": connections(len(workloads)),
        "alerts": (ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8").rstrip(),
    }

    def rendered(template: str, **more: object) -> str:
        return templates.get_template(template).render(values | more)

    for workload in workloads:
        yield Path(f"base/services/{workload.name}.yaml"), rendered("service.yaml", workload=workload)
    yield Path("base/services/kustomization.yaml"), rendered("services.yaml")
    yield Path("images/kustomization.yaml"), rendered("images.yaml")
    production = Path("overlays/production")
    for name in ("scaling.yaml", "database.yaml", "alerts.yaml"):
        yield production / name, rendered(name)


def connections(services: int) -> int:
    """Connections to Postgres when every service has all its replicas, and one more in a rollout."""
    return services * (REPLICAS_MAX + 1) * POOL_MAX + CONNECTIONS_SPARE


def version() -> str:
    """The version of this code, which is the tag of its images."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(project["project"]["version"])
