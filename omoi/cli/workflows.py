"""`omoi workflow`: check, load, export and describe workflow documents."""

from pathlib import Path
from typing import Annotated

import typer

from omoi import workflow_file
from omoi.cli.console import (
    DONE,
    OPERATOR_NAME,
    REFUSED,
    As,
    Json,
    connected,
    err,
    out,
    print_json,
    print_table,
    run,
)
from omoi.workflow_file import Flaw, WorkflowFileFlawed
from omoi.workflow_folder import files_in
from shared.contracts.phase import GetWorkflow, ListWorkflows, LoadWorkflow
from shared.contracts.workflow import Workflow

app = typer.Typer(no_args_is_help=True, help="Check, load and export workflow documents.")
Files = Annotated[
    list[Path], typer.Argument(help="YAML files, and folders of them.", exists=True, metavar="FILE|FOLDER")
]


def named(paths: list[Path]) -> list[Path]:
    """The files, with those of each folder in its place."""
    found: list[Path] = []
    for path in paths:
        inside = files_in(path) if path.is_dir() else [path]
        if not inside:
            raise typer.BadParameter(f"there is no .yaml file in {path}")
        found += inside
    return found


def examined(paths: list[Path]) -> tuple[dict[Path, Workflow], list[Flaw]]:
    """The workflows of the files, and every flaw of those that hold none."""
    sound: dict[Path, Workflow] = {}
    flaws: list[Flaw] = []
    for path in paths:
        try:
            workflow = workflow_file.read(path)
        except WorkflowFileFlawed as flawed:
            flaws += flawed.flaws
            continue
        except OSError as error:
            raise typer.BadParameter(f"{path} cannot be read: {error}") from error
        sound[path] = workflow
    return sound, flaws


def twice(folders: list[Path], sound: dict[Path, Workflow]) -> list[Flaw]:
    """Files of a folder that hold a workflow which another file there holds too."""
    flaws: list[Flaw] = []
    for folder in folders:
        first: dict[str, Path] = {}
        for path in files_in(folder):
            name = sound[path].name if path in sound else None
            if name in first:
                flaws.append(Flaw(path, 1, "name", f"{name} is the workflow of {first[name]} too."))
            elif name is not None:
                first[name] = path
    return flaws


def read(path: Path) -> Workflow:
    """The workflow of a file; every flaw is printed with its line, and the command ends."""
    sound, flaws = examined([path])
    _end_if(flaws)
    return sound[path]


def _end_if(flaws: list[Flaw]) -> None:
    for flaw in flaws:
        err.print(str(flaw), markup=False, soft_wrap=True)
    if flaws:
        raise typer.Exit(REFUSED)


@app.command()
def validate(files: Files, as_json: Json = False) -> None:
    """Check documents whole; nothing has to run."""
    sound, flaws = examined(named(files))
    flaws += twice([path for path in files if path.is_dir()], sound)
    if as_json:
        flawed = {
            str(path): {"problems": [flaw.as_json() for flaw in flaws if flaw.file == path]}
            for path in dict.fromkeys(flaw.file for flaw in flaws)
        }
        told = {str(path): {"name": w.name, "version": w.version} for path, w in sound.items()}
        print_json(told | flawed)
        raise typer.Exit(REFUSED if flaws else DONE)
    for path in [path for path in sound if path not in {flaw.file for flaw in flaws}]:
        workflow = sound[path]
        out.print(
            f"{path}: {workflow.name} {workflow.version} is sound ({len(workflow.phases)} phases).",
            markup=False,
            soft_wrap=True,
        )
    _end_if(flaws)


@app.command()
def load(files: Files, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Load documents; tickets opened from now on pin the new versions."""
    sound, flaws = examined(named(files))
    flaws += twice([path for path in files if path.is_dir()], sound)
    _end_if(flaws)

    async def work() -> int:
        async with connected(actor) as client:
            for workflow in sound.values():
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


@app.command()
def schema(
    to: Annotated[Path | None, typer.Option(help="File to write; standard output when absent.")] = None,
) -> None:
    """Print the JSON Schema of workflow documents, for editors."""
    from omoi.workflow_schema import schema_text

    if to:
        to.write_text(schema_text(), encoding="utf-8")
    else:
        out.file.write(schema_text())
