"""Pictures of tickets and boards, as pure functions from what the read models answer."""
