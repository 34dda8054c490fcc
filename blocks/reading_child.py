"""The process that parses what it may not trust: bounded memory and time, no secrets, no pickles.

It answers requests from standard input on standard output: a line of JSON and the document's bytes, then a line of
JSON back. The alarm ends the process even inside C code, and also when its parent is gone.
"""

import json
import os
import resource
import signal
import sys
from typing import Any

from kowai.errors import Corrupt, DocumentError, DocumentTooLarge
from kowai.loaders import Limits, loaders
from kowai.reading import read


def main() -> None:
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what a parser prints must not pass for a reply
        loaders()
        while line := requests.readline():
            request = json.loads(line)
            data = requests.read(request["size"])
            signal.setitimer(signal.ITIMER_REAL, request["seconds"])
            replies.write(json.dumps(_reply(request, data)).encode() + b"\n")
            signal.setitimer(signal.ITIMER_REAL, 0)
            replies.flush()


def _reply(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    name = request["name"]
    limits = Limits(*request["limits"])
    try:
        document = read(data, name, media_type=request["media_type"], charset=request["charset"], limits=limits)
        return {"document": document.model_dump(mode="json")}
    except DocumentError as error:
        return _failure(error)
    except MemoryError:
        return _failure(DocumentTooLarge(f"{name} needs more memory than one document may have: split it."))
    except Exception as error:  # whatever a parser trips over; in C a lack of memory has many names
        sentence = f"{name} is damaged or needs more memory than one document may have: export it again or split it."
        return _failure(Corrupt(sentence, operator=repr(error)[:2000]))


def _failure(error: DocumentError) -> dict[str, Any]:
    return {"error": type(error).__name__, "sentence": error.sentence, "operator": error.operator}


if __name__ == "__main__":
    main()
