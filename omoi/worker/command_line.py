"""Tasks done by a command: any agent CLI, or any program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from omoi.worker.attempt import Attempt, Progress
from omoi.worker.brief import write_brief
from omoi.worker.briefing import Briefing
from omoi.worker.environment import environment
from omoi.worker.findings import read_findings
from omoi.worker.outcome import Done, Failed, Outcome, Stopped
from omoi.worker.output import Output
from omoi.worker.process import GRACE_SECONDS, Cancelled, Command, Finished, Run, TimedOut, run
from omoi.worker.secrets import secrets_of, without
from omoi.worker.worktree import Worktree

TAIL_CHARACTERS = 8000
SUMMARY_CHARACTERS = 2000
QUIET_SECONDS = 300.0
"""Silence of this length, and each multiple of it, is told."""
LINE_SECONDS = 30.0
"""A printed line is told at most so often: each is an event that is kept."""


@dataclass(frozen=True)
class CommandLine:
    """A command line, run by `sh -c` in the task's worktree."""

    line: str
    passed: Sequence[str] = ()
    """Names of the worker's own environment that the command is given too; `*` at the end is any rest."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Variables it is given besides."""
    quiet_seconds: float = QUIET_SECONDS
    grace_seconds: float = GRACE_SECONDS

    needs_repository = True

    async def do(
        self, attempt: Attempt, told: Briefing, tree: Worktree | None, timeout_seconds: float
    ) -> Outcome:
        """Run the command on the brief."""
        assert tree is not None, "a command needs a worktree"
        brief = write_brief(told.brief, tree.home)
        env = environment(tree, brief, passed=self.passed, extra=self.extra)
        secrets, output = secrets_of(env), Output(tree.log)
        attempt.look = Listening(output, secrets, self.quiet_seconds).progress
        ran = await run(
            Command(self.line, tree.path, env, tree.log),
            cancel=attempt.cancel,
            timeout_seconds=timeout_seconds,
            ending=replace(attempt.ending, grace_seconds=self.grace_seconds),
            output=output,
        )
        return _outcome(ran, without(ran.tail, secrets), tree)


@dataclass
class Listening:
    """What a silent or talkative command lets a person see of it."""

    output: Output
    secrets: tuple[str, ...]
    quiet_seconds: float
    _line: str = ""
    _told: float | None = None

    def progress(self) -> Progress:
        """How long it has been silent, else the line it printed last."""
        spells = int(self.output.silent_seconds // self.quiet_seconds)
        if spells:
            return Progress(f"no output for {spells * self.quiet_seconds / 60:g} minutes")
        if self._told is None or monotonic() - self._told >= LINE_SECONDS:
            self._line = without(self.output.last_line(), self.secrets)
            self._told = monotonic() if self._line else None
        return Progress(self._line)


def _outcome(ran: Run, tail: str, tree: Worktree) -> Outcome:
    match ran.outcome:
        case Cancelled():
            return Stopped()
        case TimedOut():
            return Failed(f"The command ran longer than {ran.seconds:.0f} s.\n\n{tail[-TAIL_CHARACTERS:]}")
        case Finished(0):
            result = {"exit_code": 0, "seconds": round(ran.seconds, 3), **read_findings(tree.reports)}
            return Done(tail.strip()[-SUMMARY_CHARACTERS:], result)
        case Finished(code):
            return Failed(f"The command ended with exit code {code}.\n\n{tail[-TAIL_CHARACTERS:]}")
