"""`omoi memory`: what was learnt, which of it helps, and what tends to succeed or fail."""

from typing import Annotated, Any, cast, get_args

import orjson
import typer
from rich.text import Text

from omoi.cli.collaboration import decide, one_of
from omoi.cli.console import OPERATOR_NAME, As, Json, out, parse_json, print_table, tell
from omoi.cli.ids import MemoryId, completed, of
from omoi.cli.tickets import moment
from shared.contracts.memory import (
    ExtractPatterns,
    Forget,
    GetMemory,
    GiveFeedback,
    MemoryType,
    PatternKind,
    Search,
    SearchMode,
    SearchPatterns,
    Store,
    SuggestContext,
)

app = typer.Typer(no_args_is_help=True, help="What was learnt, and which of it helps.")
TYPES, MODES, KINDS = get_args(MemoryType), get_args(SearchMode), get_args(PatternKind)

Limit = Annotated[int, typer.Option(help="At most so many.", min=1, max=100)]
Kind = Annotated[str | None, typer.Option("--type", help=f"Only {', '.join(TYPES)}.")]
TaskType = Annotated[str | None, typer.Option(help="Only of tasks of this type.")]
Task = Annotated[
    str | None, typer.Option(help="The task it is about.", envvar="OMOI_TASK_ID", callback=of("task"))
]


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What is looked for, in words of any kind.")],
    *,
    mode: Annotated[str, typer.Option(help="hybrid, semantic or keyword.")] = "hybrid",
    memory_type: Kind = None,
    task_type: TaskType = None,
    ticket: Annotated[str | None, typer.Option(help="Only of this ticket.", callback=of("ticket"))] = None,
    failed: Annotated[
        bool | None, typer.Option("--failed/--succeeded", help="Only what failed, or not.")
    ] = None,
    min_similarity: Annotated[float, typer.Option(help="From 0 to 1.", min=0, max=1)] = 0.0,
    limit: Limit = 10,
    as_json: Json = False,
) -> None:
    """Find memories by meaning and by words. Looking changes nothing."""
    query = Search(
        text=text,
        mode=cast(SearchMode, one_of(mode, MODES)),
        memory_type=one_of(memory_type, TYPES),
        task_type=task_type,
        ticket_id=ticket,
        success=None if failed is None else not failed,
        min_similarity=min_similarity,
        limit=limit,
    )
    tell(query, as_json, _show_matches)


@app.command()
def suggest(
    text: Annotated[str, typer.Argument(help="What the task is about.")] = "",
    *,
    task: Task = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=50)] = 5,
    as_json: Json = False,
) -> None:
    """Show what a task would be told of earlier ones."""
    if not text and not task:
        raise typer.BadParameter("say what the task is about, or name it with --task")
    tell(SuggestContext(text=text, task_id=task, limit=limit), as_json, _show_matches)


def _show_matches(found: dict[str, Any]) -> None:
    rows = [
        (
            memory["memory_id"],
            memory["memory_type"],
            "" if memory["similarity"] is None else f"{memory['similarity']:.2f}",
            f"{memory['score']:.2f}",
            f"{'' if memory['success'] else 'failed: '}{memory['summary']}",
        )
        for memory in found["memories"]
    ]
    print_table("", ("memory", "type", "similar", "served", "says"), rows, "Nothing of that is remembered.")
    if found.get("patterns"):
        _show_patterns(found)
    if found["degraded"]:
        out.print(found["degraded"], style="yellow", soft_wrap=True)


@app.command()
def show(memory_id: MemoryId, as_json: Json = False) -> None:
    """Show a memory, where it comes from and how it served."""
    tell(GetMemory(memory_id=memory_id), as_json, _show)


def _show(memory: dict[str, Any]) -> None:
    out.print(Text(memory["summary"], "bold"), soft_wrap=True)
    suggested = "" if memory["suggested"] else ", suggested no more"
    made = memory["embedding"]
    vector = f"{made['provider']} {made['model']} {made['version']}" if made else memory["embedding_problem"]
    rows = [
        ("type", f"{memory['memory_type']}, from what {'succeeded' if memory['success'] else 'failed'}"),
        ("goal", memory["goal"]),
        ("served", f"{memory['score']:.2f} after {memory['uses']} outcomes{suggested}"),
        ("stored", f"{moment(memory['stored_at'])} by {memory['actor']}"),
        ("task", " ".join(str(memory[name]) for name in ("task_type", "task_id") if memory[name])),
        ("attempt", memory["attempt"]),
        ("agent", memory["agent_id"]),
        ("ticket", " ".join(str(memory[name]) for name in ("ticket_id", "phase_id") if memory[name])),
        ("errors", "\n".join(memory["error_patterns"])),
        ("result", orjson.dumps(memory["result"]).decode() if memory["result"] else ""),
        ("tags", ", ".join(memory["tags"])),
        ("vector", vector or "none yet"),
    ]
    print_table("", ("", ""), [row for row in rows if row[1]], "")


@app.command()
def store(
    summary: Annotated[str, typer.Argument(help="What is to be remembered.")],
    *,
    memory_type: Annotated[str, typer.Option("--type", help=f"{', '.join(TYPES)}.")] = "learning",
    goal: Annotated[str, typer.Option(help="What was to be achieved.")] = "",
    result: Annotated[str, typer.Option(help="JSON, @FILE or - for what came of it.")] = "{}",
    failed: Annotated[bool, typer.Option("--failed", help="The goal was not reached.")] = False,
    error: Annotated[list[str] | None, typer.Option(help="First line of an error; repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to sort by; repeatable.")] = None,
    task: Task = None,
    ticket: Annotated[
        str | None, typer.Option(help="Ticket it is from.", envvar="OMOI_TICKET_ID", callback=of("ticket"))
    ] = None,
    task_type: Annotated[str | None, typer.Option(help="Type of task it is about.")] = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Remember something. What tasks come to is remembered without this."""
    command = Store(
        summary=summary,
        memory_type=cast(MemoryType, one_of(memory_type, TYPES)),
        goal=goal,
        result=orjson.loads(parse_json(result)),
        success=not failed,
        error_patterns=tuple(error or ()),
        tags=tuple(tag or ()),
        task_id=task,
        ticket_id=ticket,
        task_type=task_type,
    )
    decide(actor, command, as_json, lambda ref: f"Remembered as {ref['memory_id']}.")


@app.command()
def forget(
    memory_id: MemoryId,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Erase a memory from everything that is searched or suggested; the log keeps the words."""
    command = Forget(memory_id=memory_id, reason=reason)
    decide(actor, command, as_json, lambda ref: f"Forgot {ref['memory_id']}. The log keeps the words.")


@app.command()
def feedback(
    about: Annotated[str, typer.Argument(help="Id of a memory; of a pattern with --pattern.")],
    *,
    helpful: Annotated[bool, typer.Option("--helpful/--not-helpful", help="Whether it helped.")],
    pattern: Annotated[bool, typer.Option("--pattern", help="It is a pattern.")] = False,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    task: Task = None,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Say whether a memory or a pattern helped."""
    command = GiveFeedback(
        memory_id=None if pattern else completed("memory", about),
        pattern_id=about if pattern else None,
        rating="helpful" if helpful else "not_helpful",
        task_id=task,
        comment=comment,
    )
    decide(actor, command, as_json, lambda ref: "Counted." if ref["counted"] else "You have said so before.")


@app.command()
def learn(task_type: TaskType = None, actor: As = OPERATOR_NAME, as_json: Json = False) -> None:
    """Learn patterns now; memory does it by itself soon after a task has ended."""
    command = ExtractPatterns(task_type=task_type)
    decide(actor, command, as_json, lambda ref: f"New or changed: {len(ref['pattern_ids'])}.")


@app.command()
def patterns(
    *,
    task_type: TaskType = None,
    phase: Annotated[str | None, typer.Option(help="Of this phase, or of any.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"Only {', '.join(KINDS)}.")] = None,
    text: Annotated[str, typer.Option(help="Words that an indicator must hold.")] = "",
    min_confidence: Annotated[float, typer.Option(help="From 0 to 1.", min=0, max=1)] = 0.0,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Show what tends to succeed or fail, the most certain first."""
    query = SearchPatterns(
        task_type=task_type,
        phase_id=phase,
        kind=one_of(kind, KINDS),
        text=text,
        min_confidence=min_confidence,
        limit=limit,
    )
    tell(query, as_json, _show_patterns)


def _show_patterns(found: dict[str, Any]) -> None:
    rows = [
        (
            pattern["pattern_id"],
            pattern["kind"],
            pattern["task_type"],
            f"{pattern['confidence']:.2f} of {pattern['samples']}",
            _told(pattern),
        )
        for pattern in found["patterns"]
    ]
    columns = ("pattern", "kind", "task type", "confidence", "goes with")
    print_table("", columns, rows, "No patterns yet: it takes three tasks of a type.")


def _told(pattern: dict[str, Any]) -> str:
    where = f"in {pattern['phase_id']}: " if pattern["phase_id"] else ""
    read = "; ".join(one["summary"] for one in pattern["recommended_context"])
    return f"{where}{', '.join(pattern['indicators'])}{f' - read: {read}' if read else ''}"
