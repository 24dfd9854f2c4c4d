"""Pairs of texts that are about the same, in shared words or in others, and pairs that are not."""

SHARED_WORDS = (
    (
        "Fix the flaky login test by waiting for the session cookie",
        "login tests were flaky: wait for session cookies",
    ),
    (
        "ConnectionRefusedError while connecting to Postgres",
        "postgres connection refused when the worker connects",
    ),
    ("Parse durations such as 5m30s in the scheduler", "The scheduler's duration parser takes 5m30s"),
    (
        "Coverage dropped below 80 percent after the refactoring",
        "refactored module lost coverage, now below 80 percent",
    ),
    ("Add pagination to the ticket list endpoint", "paginate the endpoint that lists tickets"),
    ("Retry uploads with exponential backoff", "uploads are retried with a backoff that grows exponentially"),
    ("ModuleNotFoundError: No module named 'yaml'", "the yaml module was not found; install pyyaml"),
    (
        "Database migration fails on duplicate column email",
        "migrations failed: column email is duplicated in the database",
    ),
    ("Cache invalidation after profile update", "invalidate the profile cache whenever it is updated"),
    ("Timeouts of the payment gateway in production", "payment gateway timed out in production"),
)
OTHER_WORDS = (
    ("The sign-in page rejects valid passwords", "users cannot log in although their credentials are right"),
    ("Speed up the slow report query", "make the statistics page load faster by improving the SQL"),
    ("The program crashes when memory runs out", "process gets killed by the OOM reaper"),
    ("Remove dead code from the billing module", "delete unused functions in invoicing"),
    ("Users want to export their data as a spreadsheet", "add a CSV download of all records"),
    ("The certificate has expired", "TLS handshake is refused since the cert is no longer valid"),
    ("Two workers changed the same row at once", "race condition: concurrent updates overwrite each other"),
    ("Write documentation for new contributors", "an onboarding guide for developers who join"),
)
UNRELATED = (
    (
        "Fix the flaky login test by waiting for the session cookie",
        "Coverage dropped below 80 percent after the refactoring",
    ),
    ("Parse durations such as 5m30s in the scheduler", "payment gateway timed out in production"),
    ("Add pagination to the ticket list endpoint", "The certificate has expired"),
    ("Retry uploads with exponential backoff", "delete unused functions in invoicing"),
    (
        "ModuleNotFoundError: No module named 'yaml'",
        "users cannot log in although their credentials are right",
    ),
    ("Cache invalidation after profile update", "an onboarding guide for developers who join"),
    ("Speed up the slow report query", "uploads are retried with a backoff that grows exponentially"),
    ("The program crashes when memory runs out", "Add pagination to the ticket list endpoint"),
    ("Write documentation for new contributors", "postgres connection refused when the worker connects"),
    ("Users want to export their data as a spreadsheet", "Two workers changed the same row at once"),
    (
        "Database migration fails on duplicate column email",
        "make the statistics page load faster by improving the SQL",
    ),
    ("Timeouts of the payment gateway in production", "Remove dead code from the billing module"),
)
