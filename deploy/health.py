"""Exit 0 if an address answers 200: the health check of images without curl."""

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=8) as answer:  # noqa: S310 (our own address)
    sys.exit(answer.status != 200)
