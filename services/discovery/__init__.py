"""Why workflows branch: what agents find on the way, and the tasks that it spawns."""
