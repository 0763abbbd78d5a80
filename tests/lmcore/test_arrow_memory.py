"""Arrow's memory is that of the process."""

import subprocess
import sys

TELLS = """
import pyarrow as pa
from lmcore.arrow_memory import share_memory
share_memory()
print(pa.default_memory_pool().backend_name)
"""


def test_arrow_takes_memory_from_where_all_do() -> None:
    told = subprocess.run([sys.executable, "-c", TELLS], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "system"
