"""The collaboration service: threads, inboxes, and handoffs of claims."""

from services.collaboration import queries, reactions
from services.collaboration.agent import AGENT, follow_agent
from services.collaboration.answer import accept_handoff, await_handoff, decline_handoff
from services.collaboration.claim import CLAIM
from services.collaboration.delivery import DELIVERY, Deliveries, UnreadUpTo, mark_read
from services.collaboration.handoff import HANDOFF
from services.collaboration.message import MESSAGE, send_message
from services.collaboration.offer import expire_handoff, request_handoff, withdraw_handoff
from services.collaboration.outcome import end_claim, fail_handoff, follow_claim
from services.collaboration.tables import INDEXES
from services.collaboration.thread import THREAD, add_participants, close_thread, leave_thread, open_thread
from shared.contracts import agent, task
from shared.contracts import collaboration as talk
from shared.kernel.declaration import Service

collaboration = Service(
    "collaboration",
    aggregates=(THREAD, MESSAGE, DELIVERY, HANDOFF, CLAIM, AGENT),
    obeys={
        talk.OpenThread: open_thread,
        talk.CloseThread: close_thread,
        talk.AddParticipants: add_participants,
        talk.LeaveThread: leave_thread,
        talk.SendMessage: send_message,
        talk.MarkRead: mark_read,
        talk.RequestHandoff: request_handoff,
        talk.AcceptHandoff: accept_handoff,
        talk.DeclineHandoff: decline_handoff,
        talk.WithdrawHandoff: withdraw_handoff,
        talk.AwaitHandoff: await_handoff,
        talk.ExpireHandoff: expire_handoff,
        talk.FollowClaim: follow_claim,
        talk.EndClaim: end_claim,
        talk.FailHandoff: fail_handoff,
        talk.FollowAgent: follow_agent,
    },
    hears={
        task.TaskClaimed: reactions.follow_claim,
        task.TaskCompleted: reactions.end_completed,
        task.TaskFailed: reactions.end_failed,
        task.TaskRetryScheduled: reactions.end_retried,
        task.TaskLeaseExpired: reactions.end_expired,
        task.TaskCancelled: reactions.end_cancelled,
        task.TaskHandoverFailed: reactions.fail_handoff,
        agent.AgentRegistered: reactions.greet,
        agent.AgentRecovered: reactions.find,
        agent.AgentLost: reactions.lose,
        agent.AgentDeregistered: reactions.part,
        agent.AgentQuarantined: reactions.quarantine,
        agent.AgentReleased: reactions.release,
        agent.AgentAvailabilityChanged: reactions.follow_availability,
    },
    answers={
        talk.GetThread: queries.get_thread,
        talk.ListThreads: queries.list_threads,
        talk.Inbox: queries.inbox_of,
        talk.GetHandoff: queries.get_handoff,
        talk.ListHandoffs: queries.list_handoffs,
    },
    lookups={Deliveries: queries.deliveries, UnreadUpTo: queries.unread_up_to},
    indexes=INDEXES,
)
