"""`omoi credentials` and `omoi nats-config`: who may use the servers, and how they are told."""

from pathlib import Path
from typing import Annotated

import bcrypt
import typer

from omoi.cli.console import REFUSED, err, out, settings
from omoi.credentials import Credentials, CredentialsProblem, complete, read
from omoi.services import service_names
from shared.contracts.messages import ANONYMOUS
from shared.stack import OPERATOR, ROUTES, Cluster, nats_config
from shared.stack.guests import guests
from shared.stack.nats_config import is_variable, variable
from shared.stack.passwords import known_passwords

app = typer.Typer(
    no_args_is_help=True, help="Passwords for the broker and the database, in one private file."
)

HASH_ROUNDS = 8
"""Passwords of ours cannot be guessed, however quick a try is; after a restart all clients come at once."""

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file of credentials.", dir_okay=False)
]
FileOption = Annotated[
    Path,
    typer.Option(
        "--credentials",
        metavar="FILE",
        envvar="OMOI_CREDENTIALS",
        help="The file of credentials.",
        dir_okay=False,
    ),
]


def _fail(problem: Exception) -> typer.Exit:
    err.print(str(problem), style="red", soft_wrap=True)
    return typer.Exit(REFUSED)


@app.command()
def create(
    file: FileArgument,
    agent: Annotated[
        list[str] | None, typer.Option(help="An agent or a person besides; may be repeated.")
    ] = None,
    rotate: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Give this one a new password; may be repeated.")
    ] = None,
) -> None:
    """Write the file, or add what it lacks: the operator, every service, and the agents that are named."""
    from omoi.names import NameTaken, free_name

    services = service_names()
    try:
        agents = [free_name(name) for name in agent or ()]
        changed = complete(file, [OPERATOR, ROUTES, *services, *agents], services, rotate or ())
    except (CredentialsProblem, NameTaken) as problem:
        raise _fail(problem) from None
    what = f"new passwords for {', '.join(changed)}" if changed else "nothing was missing"
    out.print(f"{file}: {what}.", soft_wrap=True)


@app.command()
def url(
    name: Annotated[str, typer.Argument(metavar="SERVICE|AGENT", help="Whose credentials.")],
    file: FileOption,
    nats: Annotated[str, typer.Option(metavar="HOST:PORT", help="The NATS server, or several with commas.")],
    database: Annotated[
        str | None, typer.Option(metavar="HOST:PORT/DB", help="The database; services need it.")
    ] = None,
) -> None:
    """Print the URLs of one user as the environment names them."""
    try:
        held = read(file)
        lines = [f"OMOI_NATS_URL={held.nats_url(nats, name)}"]
        if name in held.postgres:
            if database is None:
                raise CredentialsProblem(f"{name} is a service: say with --database where its database is.")
            lines.append(f"OMOI_DATABASE_URL={held.database_url(database, name)}")
    except CredentialsProblem as problem:
        raise _fail(problem) from None
    for line in lines:
        out.print(line, soft_wrap=True)


def print_nats_config(
    file: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            metavar="FILE",
            envvar="OMOI_CREDENTIALS",
            help="The file of credentials. Without it: the users of the stack in OMOI_HOME, and where there "
            "is none, passwords that the server reads from its environment.",
            dir_okay=False,
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the server listens.")
    ] = "0.0.0.0:4222",
    store: Annotated[str, typer.Option(metavar="DIR", help="Where JetStream keeps its messages.")] = "/data",
    name: Annotated[str, typer.Option(help="Name of the server.")] = "omoi",
    *,
    cluster: Annotated[str | None, typer.Option(help="Name of its cluster; alone when absent.")] = None,
    cluster_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the cluster's other servers reach it.")
    ] = "0.0.0.0:6222",
    route: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="A server of the cluster; may be repeated.")
    ] = None,
) -> None:
    """Print a NATS server's configuration: every user, and what each may publish and hear."""
    from omoi.permissions import users

    if route and not cluster:
        raise typer.BadParameter("A route leads to another server of a cluster: name it with --cluster.")
    try:
        known = _known(file)
    except CredentialsProblem as problem:
        raise _fail(problem) from None
    if cluster and ROUTES not in known:
        raise typer.BadParameter("A cluster's servers have a password among them: name --credentials FILE.")
    told = {user: _told(password) for user, password in known.items() if user != ROUTES}
    node = Cluster(cluster, known[ROUTES], cluster_listen, tuple(route or ())) if cluster else None
    out.file.write(nats_config(users(told), told, listen=listen, store=store, server_name=name, cluster=node))


def _known(file: Path | None) -> dict[str, str]:
    """Passwords by user: of the file, else of the stack in the home, else names of variables."""
    if file is not None:
        held = read(file)
        _refuse_incomplete(held)
        return held.nats
    home = settings().home
    if of_home := {**guests(home), **known_passwords(home)}:
        return {name: password for name, password in of_home.items() if name != ANONYMOUS}
    return {name: variable(f"OMOI_NATS_PASSWORD_{name.upper()}") for name in (OPERATOR, *service_names())}


def _told(password: str) -> str:
    return password if is_variable(password) else _hashed(password)


def _refuse_incomplete(held: Credentials) -> None:
    missing = sorted({OPERATOR, ROUTES, *service_names()} - set(held.nats))
    if missing:
        raise CredentialsProblem(
            f"The credentials lack {', '.join(missing)}. `omoi credentials create FILE` adds what is missing."
        )


def _hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(HASH_ROUNDS)).decode()


def register(top: typer.Typer) -> None:
    """Add the commands."""
    top.add_typer(app, name="credentials")
    top.command("nats-config")(print_nats_config)
