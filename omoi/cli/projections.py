"""`omoi projection`: how far the read models are, and building them anew."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, TaskID

from omoi.cli.console import (
    OPERATOR_NAME,
    REFUSED,
    UNAVAILABLE,
    Json,
    connected,
    err,
    find_stack,
    out,
    print_json,
    print_table,
    run,
    settings,
)
from shared.contracts.projection import ProjectionStatus
from shared.kernel import logs

if TYPE_CHECKING:
    from shared.kernel.rebuild import Rebuilt

app = typer.Typer(no_args_is_help=True, help="How far the read models are, and building them anew.")
Names = Annotated[list[str] | None, typer.Argument(help="Read models; every one when absent.")]


@app.command()
def status(as_json: Json = False) -> None:
    """How far the read models are, and how their last rebuilds went."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(ProjectionStatus())
        if as_json:
            print_json(found)
            return 0
        out.print(f"The journal is at {found['sequence']}; every read model has folded it.")
        heard = [(s["source"], s["position"], s["at"]) for s in found["sources"]]
        print_table("", ("source", "heard up to", "of"), heard, "Nothing was heard yet.")
        out.print()
        models = [(m["name"], m["rows"], m["state"], _last(m["last_rebuild"])) for m in found["read_models"]]
        print_table("", ("read model", "rows", "state", "last rebuild"), models, "There are no read models.")
        return 0

    run(work())


def _last(report: dict[str, Any] | None) -> str:
    if report is None:
        return ""
    same = "identical" if report["identical"] else f"{len(report['differences'])} rows differ"
    return f"{report['events']} events in {report['seconds']:.1f} s, {same}"


@app.command()
def rebuild(
    names: Names = None,
    accept: Annotated[
        bool,
        typer.Option("--accept-differences", help="Swap although rows differ, after a fold was changed."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fold read models anew from the journal beside the live ones, compare the two, and swap them."""
    from shared.kernel import rebuild as kernel

    async def one(url: str, service: Any, name: str, told: Any) -> "Rebuilt":
        return await kernel.rebuild(url, service, name, accept_differences=accept, progress=told)

    _each(names, one, as_json)


@app.command()
def rollback(names: Names = None, as_json: Json = False) -> None:
    """Bring the versions before the last swap up to date and swap them back."""
    from shared.kernel import rebuild as kernel

    async def one(url: str, service: Any, name: str, told: Any) -> "Rebuilt":
        return await kernel.roll_back(url, service, name, progress=told)

    _each(names, one, as_json)


def _each(
    names: list[str] | None, one: Callable[[str, Any, str, Any], Awaitable["Rebuilt"]], as_json: bool
) -> None:
    from omoi.services import all_services
    from shared.kernel.decider import Refused, Unavailable

    logs.configure("warning", json=False)
    config = settings()
    stack = find_stack(config)
    url = config.database_url or (stack.database_url if stack else None)
    if url is None:
        err.print("Set OMOI_DATABASE_URL, or start `omoi up` first.")
        raise typer.Exit(UNAVAILABLE)
    service = all_services()["projection"]

    async def work() -> int:
        same = True
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            for name in names or [model.name for model in service.read_models]:
                try:
                    rebuilt = await one(url, service, name, _teller(bar, bar.add_task(name)))
                except Refused as refused:
                    err.print(f"{refused.code}: {refused.message}", style="red")
                    return REFUSED
                except Unavailable as away:
                    err.print(str(away), style="red")
                    return UNAVAILABLE
                same &= rebuilt.identical or rebuilt.swapped
                _tell(rebuilt, as_json)
        return 0 if same else REFUSED

    run(work())


def _teller(bar: Progress, row: TaskID) -> Callable[[str, int, int], None]:
    def told(_: str, folded: int, head: int) -> None:
        bar.update(row, completed=folded, total=head)

    return told


def _tell(rebuilt: "Rebuilt", as_json: bool) -> None:
    if as_json:
        print_json(asdict(rebuilt))
        return
    same = (
        "identical to the live one" if rebuilt.identical else f"different in {', '.join(rebuilt.differences)}"
    )
    swapped = "swapped" if rebuilt.swapped else "not swapped; --accept-differences swaps it"
    out.print(
        f"{rebuilt.read_model}: {rebuilt.events} events, {rebuilt.rows} rows in {rebuilt.seconds:.2f} s; "
        f"{same}; {swapped}.",
        soft_wrap=True,
    )
