"""Learning patterns from samples: what goes with success, with failure, with ease, and with discoveries."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.memory.pattern import Pattern, pattern_id
from services.memory.sample import Discoveries, Found, PatternsOf, Sample, Samples, TaskTypes
from services.memory.score import SUGGESTED_FROM, weight
from shared.contracts.memory import ExtractPatterns, MemoryPatternLearned, PatternKind, PatternRefs
from shared.kernel.decider import Context, Facts, Past

MIN_SAMPLES = 3
"""Of those that bear a pattern out; two are chance."""
MAX_INDICATORS, MAX_RECOMMENDED = 8, 3
IN_SHARE = 0.3
"""Of the samples must hold a word that is to tell something."""
LIFT = 0.15
"""By so much more often than in the others."""
MIN_LETTERS = 3
_WORD = re.compile(r"[^\W\d_]{3,}")
_STOP = frozenset(
    "about after all also and any are because been before but can did does for from had has have into its "
    "may more not now only other our out over own per she should some such than that the their them then "
    "there these they this those too until was were what when where which while who why will with would you "
    "your".split()
)


@dataclass(frozen=True)
class Evidence:
    """The samples that bear a pattern out, and those that speak against it."""

    for_it: Sequence[Sample]
    against: Sequence[Sample]


def extract_patterns(command: ExtractPatterns, past: Past, context: Context) -> Facts:
    """Learn what is new; a pattern that its samples bear out no more is taken back."""
    types = (command.task_type,) if command.task_type else past.find(TaskTypes())
    learned = [event for task_type in types for event in _changes(task_type, past, context.at)]
    return [*learned, PatternRefs(pattern_ids=tuple(event.pattern_id for event in learned))]


def _changes(task_type: str, past: Past, at: datetime) -> Iterator[MemoryPatternLearned]:
    samples = past.find(Samples(task_type))
    learned = {event.pattern_id: event for event in _patterns(task_type, samples, past, at)}
    for key, event in learned.items():
        if _is_news(event, past.of(Pattern, key), samples):
            yield event
    for key in past.find(PatternsOf(task_type)):
        known = past.of(Pattern, key)
        if key not in learned and known.holds:
            yield _taken_back(known, at)


def _is_news(event: MemoryPatternLearned, known: Pattern, samples: Sequence[Sample]) -> bool:
    """Whether it says something else than before, or rests on newer samples; growing older is no news."""
    told = (event.indicators, event.recommended_memory_ids, event.samples)
    if told != (known.indicators, known.recommended, known.samples) or known.seen.at is None:
        return True
    return any(sample.at > known.seen.at for sample in samples)


def _patterns(
    task_type: str, samples: Sequence[Sample], past: Past, at: datetime
) -> Iterator[MemoryPatternLearned]:
    succeeded = [sample for sample in samples if sample.success]
    failed = [sample for sample in samples if not sample.success]
    at_once = [sample for sample in succeeded if sample.attempt <= 1]
    later = [sample for sample in samples if sample not in at_once]
    success, failure = Evidence(succeeded, failed), Evidence(failed, succeeded)
    if len(succeeded) >= MIN_SAMPLES:
        yield _learned("success", task_type, success, _best(succeeded), at)
    if len(failed) >= MIN_SAMPLES:
        mended = [sample for sample in succeeded if sample.memory_type == "error_fix"]
        yield _learned("failure", task_type, failure, _best(mended) or _best(failed), at)
    if len(at_once) >= MIN_SAMPLES and later:
        yield _learned("optimization", task_type, Evidence(at_once, later), _best(at_once), at)
    yield from _discovered(task_type, samples, past.find(Discoveries(task_type)), at)


def _learned(
    kind: PatternKind, task_type: str, evidence: Evidence, recommended: Sequence[str], at: datetime
) -> MemoryPatternLearned:
    errors = _frequent_errors(evidence.for_it) if kind == "failure" else []
    return MemoryPatternLearned(
        pattern_id=pattern_id(kind, task_type, None, None),
        kind=kind,
        task_type=task_type,
        indicators=tuple([*errors, *_telling_words(evidence)][:MAX_INDICATORS]),
        recommended_memory_ids=tuple(recommended),
        samples=len(evidence.for_it) + len(evidence.against),
        successes=_weighed(evidence.for_it, at),
        failures=_weighed(evidence.against, at),
        at=at,
        confidence=_confidence(evidence, at),
    )


def _discovered(
    task_type: str, samples: Sequence[Sample], found: tuple[Found, ...], at: datetime
) -> Iterator[MemoryPatternLearned]:
    """Which phases of such tasks bring which discoveries to light, and how often."""
    places = Counter((one.phase_id, one.discovery_type) for one in found)
    for phase_id, discovery_type in sorted(places):
        met = {
            one.task_id: one
            for one in found
            if (one.phase_id, one.discovery_type) == (phase_id, discovery_type)
        }
        without = [s for s in samples if s.phase_id == phase_id and s.task_id not in met]
        if len(met) < MIN_SAMPLES:
            continue
        evidence_for, evidence_against = _weighed(list(met.values()), at), _weighed(without, at)
        yield MemoryPatternLearned(
            pattern_id=pattern_id("discovery", task_type, phase_id, discovery_type),
            kind="discovery",
            task_type=task_type,
            phase_id=phase_id,
            discovery_type=discovery_type,
            indicators=(discovery_type,),
            samples=len(met) + len(without),
            successes=evidence_for,
            failures=evidence_against,
            confidence=(1 + evidence_for) / (2 + evidence_for + evidence_against),
            at=at,
        )


def _taken_back(known: Pattern, at: datetime) -> MemoryPatternLearned:
    return MemoryPatternLearned(
        pattern_id=known.pattern_id,
        kind=known.kind,
        task_type=known.task_type,
        phase_id=known.phase_id,
        discovery_type=known.discovery_type,
        indicators=(),
        samples=0,
        successes=0,
        failures=0,
        confidence=0.5,
        at=at,
    )


def _weighed(samples: Sequence[Sample | Found], at: datetime) -> float:
    """How much samples count, older ones less; added up in order of age, so that it is the same each time."""
    return sum(weight(at - one) for one in sorted(sample.at for sample in samples))


def _confidence(evidence: Evidence, at: datetime) -> float:
    successes, failures = _weighed(evidence.for_it, at), _weighed(evidence.against, at)
    return (1 + successes) / (2 + successes + failures)


def _best(samples: Sequence[Sample]) -> list[str]:
    """Memories to read first: those that served best, then the newest."""
    worth = [sample for sample in samples if sample.score >= SUGGESTED_FROM]
    ordered = sorted(worth, key=lambda sample: (sample.score, sample.at, sample.memory_id), reverse=True)
    return [sample.memory_id for sample in ordered[:MAX_RECOMMENDED]]


def _frequent_errors(samples: Sequence[Sample]) -> list[str]:
    """Errors that came more than once, the most frequent first."""
    counts = Counter(pattern for sample in samples for pattern in set(sample.error_patterns))
    often = sorted((count, pattern) for pattern, count in counts.items() if count > 1)
    return [pattern for _, pattern in reversed(often)]


def _telling_words(evidence: Evidence) -> list[str]:
    """Words that go with it, and not as much with the others."""
    with_it, without = _counts(evidence.for_it), _counts(evidence.against)
    many, others = len(evidence.for_it), len(evidence.against)
    lifts = {
        word: count / many - (without[word] / others if others else 0.0)
        for word, count in with_it.items()
        if count >= 2 and count / many >= IN_SHARE
    }
    telling = sorted((-lift, word) for word, lift in lifts.items() if lift >= LIFT)
    return [word for _, word in telling]


def _counts(samples: Sequence[Sample]) -> Counter[str]:
    return Counter(word for sample in samples for word in set(_words(sample.text)))


def _words(text: str) -> Iterator[str]:
    return (word for word in _WORD.findall(text.casefold()) if word not in _STOP)
