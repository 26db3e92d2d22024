"""The project's benchmark: each budget beside what others need for the same, in one run."""
