"""What projection answers: each answer is one statement, so that all of it is as of one moment."""
