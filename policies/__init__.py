"""The policy files that come with OmoiOS."""
