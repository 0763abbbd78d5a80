"""What is kept in a home, and what may go: versions, content, work, what was found damaged."""
