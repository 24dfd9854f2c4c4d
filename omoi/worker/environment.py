"""What an agent's command finds in its environment."""

from collections.abc import Mapping

from omoi.worker.brief import BriefFiles
from omoi.worker.git import identity, scrubbed
from omoi.worker.process import MARK
from omoi.worker.worktree import Worktree


def environment(tree: Worktree, brief: BriefFiles, extra: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment without GIT_* and with the OMOI_* names, then `extra` of the caller.

    Git in the command commits under the agent's name, and never climbs out of the worktree to find a
    repository.
    """
    of = tree.assignment
    return {
        **scrubbed(),
        **identity(of.agent_id),
        "GIT_CEILING_DIRECTORIES": str(tree.home),
        MARK: str(tree.path),
        "OMOI_BRIEF": str(brief.markdown),
        "OMOI_BRIEF_JSON": str(brief.json),
        "OMOI_REPORTS": str(tree.reports),
        "OMOI_TASK_ID": of.task_id,
        "OMOI_TICKET_ID": of.ticket_id,
        "OMOI_PHASE_ID": of.phase_id,
        "OMOI_TASK_TYPE": of.task_type,
        "OMOI_AGENT_ID": of.agent_id,
        "OMOI_ATTEMPT": str(of.attempt),
        "OMOI_CLAIM_EPOCH": str(of.claim_epoch),
        **extra,
    }
