"""The command line of OmoiOS."""

import sys

import typer
from pydantic import ValidationError

from omoi.cli import (
    agents,
    blockers,
    board,
    collaboration,
    context,
    credentials,
    dead,
    discover,
    gates,
    graph,
    guardian,
    handoffs,
    interventions,
    locks,
    memory,
    messages,
    policies,
    projections,
    system,
    tasks,
    tickets,
    timeline,
    work,
    workflows,
)
from omoi.cli.console import USAGE, err
from shared.contracts.wrong import told

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Event-sourced orchestration for fleets of AI coding agents.",
    epilog="Exit codes: 0 done, 1 refused, 2 usage, 3 unavailable.",
)
for module in (system, credentials, work, messages, tasks, locks, graph):
    module.register(app)
gates.register(tickets.app)
timeline.register(tickets.app)
tickets.app.add_typer(blockers.app, name="blocker")
app.add_typer(tickets.app, name="ticket")
app.add_typer(gates.app, name="gate")
guardian.app.add_typer(interventions.app)
guardian.app.add_typer(policies.app)
app.add_typer(guardian.app, name="guardian")
app.add_typer(board.app, name="board")
app.add_typer(context.app, name="context")
app.add_typer(discover.app, name="discover")
app.add_typer(memory.app, name="memory")
app.add_typer(workflows.app, name="workflow")
app.add_typer(agents.app, name="agents")
app.add_typer(projections.app, name="projection")
app.add_typer(tasks.app, name="tasks")
app.add_typer(dead.app, name="dead")
collaboration.app.add_typer(handoffs.app, name="handoff")
app.add_typer(collaboration.app, name="messages")


def main() -> None:
    """Entry point of `omoi`; what a contract does not take is a usage error."""
    try:
        app()
    except ValidationError as error:
        err.print(told(error))
        sys.exit(USAGE)
