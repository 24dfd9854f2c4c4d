"""`omoi messages`: threads, inboxes and handoffs, under the name of whoever talks."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Annotated, Any, cast

import typer

from omoi.cli.console import (
    DONE,
    OPERATOR_NAME,
    As,
    Json,
    connected,
    out,
    print_json,
    print_table,
    run,
)
from omoi.cli.ids import of
from omoi.cli.tickets import moment
from shared.client import Client
from shared.contracts.collaboration import (
    AddParticipants,
    CloseThread,
    GetThread,
    Inbox,
    LeaveThread,
    ListThreads,
    MarkRead,
    OpenThread,
    SendMessage,
    ThreadKind,
    ThreadStatus,
)
from shared.contracts.messages import Command

app = typer.Typer(no_args_is_help=True, help="Talk with other agents, and hand tasks over.")

ThreadId = Annotated[str, typer.Argument(help="The thread's id.")]
Before = Annotated[int | None, typer.Option(help="The page in front of this place.", min=0)]
Limit = Annotated[int, typer.Option(help="At most so many.", min=1, max=200)]
POLL_SECONDS = 0.5
KINDS, STATUSES = ("handoff", "review", "consultation"), ("open", "closed")


def act(actor: str, work: Callable[[Client], Awaitable[int | None]]) -> None:
    """Do something under a name, and leave with its exit code."""

    async def connect() -> int:
        async with connected(actor) as client:
            return await work(client) or DONE

    run(connect())


def decide(actor: str, command: Command, as_json: bool, told: Callable[[dict[str, Any]], str]) -> None:
    """Have a command decided, and say what came of it."""

    async def work(client: Client) -> None:
        answer = (await client.ask(command)).accepted()
        if as_json:
            print_json(answer.raw)
        else:
            out.print(told(answer.result), soft_wrap=True)

    act(actor, work)


def one_of(choice: str | None, choices: tuple[str, ...]) -> Any:
    """The choice, if it is one."""
    if choice is not None and choice not in choices:
        raise typer.BadParameter(f"{choice} is none of {', '.join(choices)}")
    return choice


@app.command()
def inbox(
    agent: Annotated[str | None, typer.Argument(help="Whose; your own when absent.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="What was read, too.")] = False,
    thread: Annotated[str | None, typer.Option(help="Only of this thread.")] = None,
    limit: Limit = 50,
    after: Annotated[int, typer.Option(help="The page behind this place.", min=0)] = 0,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a message when there is none.", min=0)] = 0,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Show what was sent to you and is unread, oldest first."""
    query = Inbox(
        agent_id=agent or actor, unread_only=not everything, thread_id=thread, limit=limit, after=after
    )

    async def work(client: Client) -> None:
        until = monotonic() + wait
        page = await client.query(query)
        while not page["messages"] and monotonic() < until:
            await asyncio.sleep(POLL_SECONDS)
            page = await client.query(query)
        if as_json:
            print_json(page)
        else:
            _show_inbox(page, query.agent_id, everything)

    act(actor, work)


def _show_inbox(page: dict[str, Any], agent: str, everything: bool) -> None:
    if not page["messages"]:
        out.print(f"Nothing {'lies' if everything else 'unread'} in the inbox of {agent}.")
        return
    for message in page["messages"]:
        about = f"{message['kind']} {message['thread_id']}: {message['topic']}"
        read = ", read" if everything and message["read_at"] else ""
        out.print(f"{moment(message['sent_at'])}  {message['sender']}  ({about}{read})", style="bold")
        _show_text(message)
    out.print(f"{page['unread']} unread.", end="")
    more = f" More: --after {page['next_after']}." if page["next_after"] else ""
    out.print(f"{more} `omoi messages read ID` marks one as read, with --up-to all before it too.")


def _show_text(message: dict[str, Any]) -> None:
    for line in message["text"].splitlines():
        out.print(f"  {line}", soft_wrap=True)
    out.print(f"  message {message['message_id']}", style="dim")


@app.command()
def send(
    thread_id: ThreadId,
    text: Annotated[str, typer.Argument(help="What to say.")],
    *,
    to: Annotated[list[str] | None, typer.Option(help="Only to this participant; repeatable.")] = None,
    reply_to: Annotated[str | None, typer.Option(help="A message of the thread.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Say something in a thread, to all others unless --to names some."""
    command = SendMessage(thread_id=thread_id, text=text, to=tuple(to or ()), reply_to=reply_to)
    decide(
        actor, command, as_json, lambda sent: f"Sent {sent['message_id']} to {_names(sent['recipients'])}."
    )


def _names(names: list[str]) -> str:
    return ", ".join(names) or "nobody"


@app.command("open")
def open_(
    topic: Annotated[str, typer.Argument(help="What it is about, in one line.")],
    *,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS[1:])}, or handoff.")] = "consultation",
    others: Annotated[
        list[str] | None, typer.Option("--with", help="Who takes part beside you; repeatable.")
    ] = None,
    ticket: Annotated[
        str | None, typer.Option(help="Ticket it is about.", envvar="OMOI_TICKET_ID", callback=of("ticket"))
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Task it is about.", envvar="OMOI_TASK_ID", callback=of("task"))
    ] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Open a thread."""
    command = OpenThread(
        topic=topic,
        kind=cast(ThreadKind, one_of(kind, KINDS)),
        participants=tuple(others or ()),
        ticket_id=ticket,
        task_id=task,
    )
    decide(
        actor, command, as_json, lambda ref: f"Opened {ref['thread_id']} with {_names(ref['participants'])}."
    )


@app.command()
def close(
    thread_id: ThreadId,
    reason: Annotated[str, typer.Option(help="What came of it.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Close a thread: it can be read and takes no more messages."""
    command = CloseThread(thread_id=thread_id, reason=reason)
    decide(actor, command, as_json, lambda ref: f"Thread {ref['thread_id']} is closed.")


@app.command()
def add(
    thread_id: ThreadId,
    participants: Annotated[list[str], typer.Argument(help="Who takes part from now on.")],
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Let others take part in a thread."""
    command = AddParticipants(thread_id=thread_id, participants=tuple(participants))
    decide(actor, command, as_json, lambda ref: f"Taking part: {_names(ref['participants'])}.")


@app.command()
def leave(thread_id: ThreadId, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Take part in a thread no longer."""
    command = LeaveThread(thread_id=thread_id)
    decide(actor, command, as_json, lambda ref: f"Left; taking part: {_names(ref['participants'])}.")


@app.command()
def read(
    messages: Annotated[list[str] | None, typer.Argument(help="Ids of messages in your inbox.")] = None,
    *,
    up_to: Annotated[str | None, typer.Option(help="This message and all before it.")] = None,
    thread: Annotated[str | None, typer.Option(help="With --up-to: only of this thread.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Mark messages of your inbox as read."""
    if bool(messages) == bool(up_to):
        raise typer.BadParameter("name messages, or one with --up-to")
    command = MarkRead(message_ids=tuple(messages or ()), up_to=up_to, thread_id=thread)

    async def work(client: Client) -> None:
        read: list[str] = []
        more = True
        while more:
            marked = (await client.ask(command)).accepted().result
            read += marked["message_ids"]
            more = marked["more"]
        if as_json:
            print_json({"message_ids": read})
        else:
            out.print(f"{len(read)} marked as read." if read else "They were read already.")

    act(actor, work)


@app.command()
def thread(
    thread_id: ThreadId,
    before: Before = None,
    limit: Limit = 50,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Show a thread with its newest messages."""

    async def work(client: Client) -> None:
        view = await client.query(GetThread(thread_id=thread_id, before=before, limit=limit))
        if as_json:
            print_json(view)
        else:
            _show_thread(view)

    act(actor, work)


def _show_thread(view: dict[str, Any]) -> None:
    about = view["thread"]
    out.print(f"{about['topic']}  ({about['kind']}, {about['status']})", style="bold")
    out.print(f"{_names(about['participants'])}; opened by {about['opened_by']} {moment(about['opened_at'])}")
    if view["more"]:
        out.print(f"Earlier messages: --before {view['messages'][0]['place']}")
    for message in view["messages"]:
        to = "all" if message["broadcast"] else _names(message["recipients"])
        read = f", read by {_names(message['read_by'])}" if message["read_by"] else ""
        out.print(f"{moment(message['sent_at'])}  {message['sender']} -> {to}{read}", style="bold")
        _show_text(message)
    if not view["messages"]:
        out.print("Nothing was said yet.")


@app.command()
def threads(
    *,
    kind: Annotated[str | None, typer.Option(help="handoff, review or consultation.")] = None,
    status: Annotated[str | None, typer.Option(help="open or closed.")] = None,
    ticket: Annotated[str | None, typer.Option(help="Only about this ticket.", callback=of("ticket"))] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Also those you take no part in.")] = False,
    before: Before = None,
    limit: Limit = 50,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """List the threads you take part in, newest first."""
    query = ListThreads(
        agent_id=None if everybody else actor,
        kind=cast(ThreadKind | None, one_of(kind, KINDS)),
        status=cast(ThreadStatus | None, one_of(status, STATUSES)),
        ticket_id=ticket,
        before=before,
        limit=limit,
    )

    async def work(client: Client) -> None:
        found = await client.query(query)
        if as_json:
            print_json(found)
            return
        rows = [
            (t["thread_id"], t["kind"], t["status"], t["unread"], moment(t["last_message_at"] or ""),
             ", ".join(t["participants"]), t["topic"])
            for t in found["threads"]
        ]  # fmt: skip
        columns = ("thread", "kind", "status", "unread", "last message", "participants", "topic")
        print_table("", columns, rows, "There are no such threads.")
        if found["next_before"]:
            out.print(f"More: --before {found['next_before']}")

    act(actor, work)
