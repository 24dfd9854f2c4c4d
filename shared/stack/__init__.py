"""The embedded Postgres and NATS of `omoi up`, `omoi run` and the tests."""

from shared.stack.errors import ServerFailed, StackError, StackInUse
from shared.stack.guests import NotAdmitted, admit, dismiss
from shared.stack.nats_config import ROUTES, Cluster, NatsUser, nats_config
from shared.stack.passwords import stable_passwords
from shared.stack.stack import OPERATOR, Stack
from shared.stack.state import RunningStack, running_stack

__all__ = [
    "OPERATOR",
    "ROUTES",
    "Cluster",
    "NatsUser",
    "NotAdmitted",
    "RunningStack",
    "ServerFailed",
    "Stack",
    "StackError",
    "StackInUse",
    "admit",
    "dismiss",
    "nats_config",
    "running_stack",
    "stable_passwords",
]
