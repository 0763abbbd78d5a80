"""One module for each kind of file: a stream in, records out."""
