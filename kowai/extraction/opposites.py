"""Opposites: pairs of words that turn a statement round, by stem."""

from functools import cache

from kowai.extraction.words import stem

PAIRS = (
    "increase decrease|rise fall|grow shrink|gain lose|win lose|begin end|start stop|start finish|open close|"
    "accept reject|accept refuse|allow prevent|allow forbid|permit prohibit|support oppose|agree disagree|"
    "include exclude|add remove|create destroy|build destroy|attack defend|success failure|succeed fail|"
    "high low|higher lower|highest lowest|large small|larger smaller|largest smallest|big small|"
    "biggest smallest|more less|more fewer|most least|most fewest|many few|early late|earlier later|"
    "earliest latest|first last|before after|above below|north south|northern southern|east west|"
    "eastern western|inside outside|internal external|inner outer|upper lower|old new|old young|oldest newest|"
    "oldest youngest|long short|longer shorter|longest shortest|strong weak|stronger weaker|hard easy|"
    "difficult easy|fast slow|hot cold|warm cool|rich poor|good bad|better worse|best worst|"
    "positive negative|public private|male female|man woman|father mother|son daughter|brother sister|"
    "husband wife|king queen|parent child|teacher student|buyer seller|buy sell|lend borrow|import export|"
    "arrive leave|arrive depart|enter exit|ancient modern|natural artificial|common rare|major minor|"
    "maximum minimum|majority minority|always never|all none|love hate|friend enemy|ally enemy|war peace|"
    "life death|born die|left right|front back|top bottom|full empty|heavy light|thick thin|wide narrow|"
    "deep shallow|active passive|direct indirect|legal illegal|possible impossible|similar different|"
    "same different|simple complex|encourage discourage|connect disconnect|approve disapprove|appear disappear|"
    "advantage disadvantage|odd even|input output|cause prevent|join leave|push pull|send receive|give take|"
    "raise lower|present absent|past future|strength weakness|victory defeat|expand contract|useful useless|"
    "rural urban|religious secular|liberal conservative|domestic foreign|offensive defensive|superior inferior|"
    "paid unpaid|mandatory optional|employer employee|upload download"
)
PREFIXES = ("un", "in", "im", "non", "dis", "ir", "il", "anti")


@cache
def opposites() -> dict[str, frozenset[str]]:
    """Return each stem's opposites."""
    pairs = [(stem(one), stem(other)) for one, other in (pair.split() for pair in PAIRS.split("|"))]
    both = [*pairs, *((other, one) for one, other in pairs)]
    return {word: frozenset(other for one, other in both if one == word) for word, _ in both}


def opposed(root: str, roots: frozenset[str]) -> bool:
    """Say whether `roots` hold an opposite of the stem `root`: low for high, unpaid for paid."""
    if not opposites().get(root, frozenset()).isdisjoint(roots):
        return True
    bare = (root[len(prefix) :] for prefix in PREFIXES if root.startswith(prefix) and len(root) > len(prefix) + 3)
    return any(word in roots for word in bare) or any(prefix + root in roots for prefix in PREFIXES)
