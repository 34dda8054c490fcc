"""The pipeline a user would write: LlamaIndex from a folder into pgvector, with KowAI's embedder and sizes of chunks.

Run by `python -m benchmarks.ingestion` in a virtual environment of its own, as `plain_ingestion.py FOLDER URL`; prints
the seconds of the pipeline, everything imported and the embedder warm, and its chunks.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blocks.embedder import local_model

SIZE, OVERLAP, BATCH = 1000, 200, 64


def pipeline(folder: str, url: str) -> Callable[[], int]:
    """Return what indexes the folder's files and returns the number of chunks."""
    from llama_index.core import SimpleDirectoryReader
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.vector_stores.postgres import PGVectorStore

    class Same(BaseEmbedding):  # type: ignore[misc]
        """Embed as KowAI does."""

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return local_model(cache_folder=MODELS).embed(texts).tolist()

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    embedder: Any = Same(embed_batch_size=BATCH)
    urls = {
        "connection_string": f"postgresql+psycopg2://{url}",
        "async_connection_string": f"postgresql+asyncpg://{url}",
    }
    store = PGVectorStore(**urls, table_name="plain", embed_dim=384)
    splitter = SentenceSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP, tokenizer=list)  # which counts characters
    steps = IngestionPipeline(transformations=[splitter, embedder], vector_store=store)
    embedder.get_text_embedding("warm")
    return lambda: len(steps.run(documents=SimpleDirectoryReader(folder).load_data()))


MODELS = Path(sys.argv[3]) if len(sys.argv) > 3 else None

if __name__ == "__main__":
    run = pipeline(sys.argv[1], sys.argv[2])
    began = time.perf_counter()
    chunks = run()
    print(json.dumps({"seconds": time.perf_counter() - began, "chunks": chunks}))
