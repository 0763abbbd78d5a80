"""What lies under `LMCORE_HOME`, its locks, and the environment that a run sees."""
