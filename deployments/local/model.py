"""Build the graph of the built-in model once, so that the processes which run it need not hold what builds it."""

import sys

from kowai.embedding.checkpoint import bundled
from kowai.embedding.graph_cache import cached_graph
from kowai.errors import Misconfigured
from kowai.settings import settings

if __name__ == "__main__":
    try:
        cached_graph(bundled(), settings().models)
    except Misconfigured as error:  # whoever embeds elsewhere needs none, and who does not is told by the shim
        sys.stderr.write(f"error: {error.sentence}\n")
