"""`omoi workflow`: check, load and export workflow documents."""

from pathlib import Path
from typing import Annotated

import typer

from omoi import workflow_file
from omoi.cli.console import (
    OPERATOR_NAME,
    REFUSED,
    USAGE,
    As,
    Json,
    connected,
    err,
    out,
    print_json,
    print_table,
    run,
)
from shared.contracts.phase import GetWorkflow, ListWorkflows, LoadWorkflow
from shared.contracts.workflow import Workflow

app = typer.Typer(no_args_is_help=True, help="Check, load and export workflow documents.")
Files = Annotated[list[Path], typer.Argument(help="YAML files.", exists=True, dir_okay=False)]


def read(path: Path) -> Workflow:
    """The workflow of a file; every flaw is printed with its line, and the command ends."""
    try:
        return workflow_file.read(path)
    except workflow_file.WorkflowFileFlawed as flawed:
        for flaw in flawed.flaws:
            err.print(str(flaw), markup=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    except OSError as error:
        err.print(f"{path} cannot be read: {error}", markup=False)
        raise typer.Exit(USAGE) from None


@app.command()
def validate(files: Files, as_json: Json = False) -> None:
    """Check documents whole; nothing has to run."""
    sound = {str(path): read(path) for path in files}
    if as_json:
        print_json({path: {"name": w.name, "version": w.version} for path, w in sound.items()})
        return
    for path, workflow in sound.items():
        out.print(
            f"{path}: {workflow.name} {workflow.version} is sound ({len(workflow.phases)} phases).",
            markup=False,
        )


@app.command()
def load(files: Files, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Load documents; tickets opened from now on pin the new versions."""
    workflows = [read(path) for path in files]

    async def work() -> int:
        async with connected(actor) as client:
            for workflow in workflows:
                answer = (await client.ask(LoadWorkflow(document=workflow))).accepted()
                if as_json:
                    print_json(answer.raw)
                else:
                    told = "loaded" if answer.events else "was loaded already"
                    out.print(f"{workflow.name} {workflow.version} {told}.")
        return 0

    run(work())


@app.command()
def export(
    name: str,
    version: Annotated[str | None, typer.Option(help="The newest when absent.")] = None,
    to: Annotated[Path | None, typer.Option(help="File to write; standard output when absent.")] = None,
) -> None:
    """Write a loaded workflow as YAML; loading it again changes nothing."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(GetWorkflow(name=name, version=version))
        text = workflow_file.dump(Workflow.model_validate(found["document"]))
        if to:
            to.write_text(text, encoding="utf-8")
        else:
            out.file.write(text)
        return 0

    run(work())


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Names and versions of the loaded workflows."""

    async def work() -> int:
        async with connected(OPERATOR_NAME) as client:
            found = await client.query(ListWorkflows())
        if as_json:
            print_json(found)
        else:
            rows = [(w["name"], w["version"]) for w in found["workflows"]]
            print_table("", ("workflow", "version"), rows, "No workflow is loaded.")
        return 0

    run(work())
