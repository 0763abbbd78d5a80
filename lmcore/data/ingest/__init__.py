"""From located sources to a document set: staging, split, account of what was dropped."""
