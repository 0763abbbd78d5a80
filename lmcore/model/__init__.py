"""The recurrent + attention language model, its loss and its generation."""

import os

# oneDNN keeps what it made for each shape of its arguments, up to 1,024 of them with some megabytes
# each: texts of many lengths fill gigabytes.  A step has some dozens.  Read when it is first used.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
