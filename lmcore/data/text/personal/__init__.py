"""Find personal data in one text: one module a kind, and a view of the text that they all read."""
