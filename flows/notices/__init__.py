"""What is told to others: events of the Prefect server, and a webhook."""
