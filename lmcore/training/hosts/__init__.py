"""Several machines: which rank a process is, and at which address they meet."""
