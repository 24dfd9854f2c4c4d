"""The memory service: what was learnt, how it is found, and how it served."""

from collections.abc import Callable

from services.memory import reactions
from services.memory.claim import follow_claim
from services.memory.effects import embedding
from services.memory.extraction import extract_patterns
from services.memory.feedback import FEEDBACK, give_feedback
from services.memory.memory import MEMORY, forget, store
from services.memory.outcome import capture_outcome
from services.memory.pattern import PATTERN
from services.memory.queries import memory as shown
from services.memory.queries.pattern import search_patterns
from services.memory.queries.search import Searching
from services.memory.sample import Discoveries, PatternsOf, Samples, TaskTypes
from services.memory.sighting import SIGHTING, note_discovery
from services.memory.suggestion import note_suggestion
from services.memory.tables import INDEXES
from services.memory.task import TASK, follow_task
from shared.contracts import discovery, task
from shared.contracts import memory as contract
from shared.embedding.choice import chosen
from shared.kernel.declaration import Service
from shared.kernel.settings import Settings


def declared(settings: Callable[[], Settings] = Settings) -> Service:
    """The service with the embedding provider that the settings name when it is first needed."""
    embedder = chosen(settings)
    searching, showing = Searching(embedder), shown.Showing(embedder)
    return Service(
        "memory",
        aggregates=(TASK, MEMORY, FEEDBACK, SIGHTING, PATTERN),
        obeys={
            contract.Store: store,
            contract.Forget: forget,
            contract.GiveFeedback: give_feedback,
            contract.ExtractPatterns: extract_patterns,
            contract.NoteSuggestion: note_suggestion,
            contract.FollowTask: follow_task,
            contract.FollowClaim: follow_claim,
            contract.CaptureOutcome: capture_outcome,
            contract.NoteDiscovery: note_discovery,
        },
        hears={
            task.TaskCreated: reactions.on_task_created,
            task.TaskClaimed: reactions.on_task_claimed,
            task.TaskClaimantNamed: reactions.on_claimant_named,
            task.TaskCompleted: reactions.on_task_completed,
            task.TaskFailed: reactions.on_task_failed,
            discovery.DiscoveryRecorded: reactions.on_discovery_recorded,
        },
        answers={
            contract.Search: searching.search,
            contract.SuggestContext: searching.suggest_context,
            contract.SearchPatterns: search_patterns,
            contract.GetMemory: showing.get_memory,
        },
        lookups={
            Samples: shown.samples,
            Discoveries: shown.discoveries,
            PatternsOf: shown.patterns_of,
            TaskTypes: shown.task_types,
        },
        indexes=INDEXES,
        activities=(embedding(embedder),),
    )


memory = declared()
