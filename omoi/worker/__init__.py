"""Where agents do the work: a worktree, a brief, a process, measured evidence, a merge."""
