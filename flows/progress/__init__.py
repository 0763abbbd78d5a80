"""How far a command is: kept once, and shown in the terminal, in Prefect and to other processes."""
