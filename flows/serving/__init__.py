"""`lmcore serve`: champions behind the HTTP interface that clients of language models speak."""
