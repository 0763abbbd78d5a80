"""Where text is and how it is read: files, tables, archives, packages, the hub."""
