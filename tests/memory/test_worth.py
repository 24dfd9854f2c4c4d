"""Which memories a task is told first."""

from services.memory.queries.search import worth
from services.memory.score import Tally


def test_what_was_told_often_does_not_displace_what_fits_better() -> None:
    fits, told_often = Tally(), Tally(successes=20)
    assert worth(0.0160, fits.score) > worth(0.0159, told_often.score)


def test_what_served_badly_gives_way_to_what_fits_less() -> None:
    failed_once = Tally(failures=1)
    assert worth(0.0160, failed_once.score) < worth(0.0120, Tally().score)
