"""What people ask a shop about, before and after it has new goods; the right answer to each text is known."""

import json
import random
import threading
import urllib.request
from collections import Counter
from dataclasses import dataclass
from types import TracebackType

BEFORE = {
    "clothes": "shirt trousers jacket scarf gloves socks dress coat",
    "food": "bread soup cheese noodles rice salad honey butter",
    "tools": "hammer saw wrench drill chisel pliers ladder nails",
}
AFTER = {
    "clothes": "lorvani quembly tazzerin hundrel mipsova",
    "food": "brakkidu fendolo jurmati skelvin pozzarn",
    "tools": "wexotti grelnam yubrick dostane vinkary",
}
"""Names that nobody can guess: one who has not learned them is as often wrong as chance has it."""
OPENINGS = (
    "do you still have", "when will you get", "my parcel came without the", "I would like to return the",
    "how much do you want for the", "somebody sold me a damaged", "is there a discount on the",
    "please send me another", "what became of the", "can my brother collect the", "nobody told me about the",
    "thank you for the lovely", "I have ordered the wrong", "which of you packed the",
    "where do I find the manual for the", "we are waiting for the",
)  # fmt: skip
ENDINGS = (
    "today", "before Christmas", "in your Oslo branch", "for my sister", "as you promised on the phone",
    "since the picture shows something else", "although it was cheap", "by the end of this month",
    "without paying twice", "or is it too late", "and who is responsible", "in a smaller size",
    "like the one in your window", "once more", "from the second floor", "with express delivery",
)  # fmt: skip


@dataclass(frozen=True)
class Text:
    """One that is asked, and what is right."""

    text: str
    label: str


def texts(goods: dict[str, str], count: int, seed: int) -> list[Text]:
    """So many, all different, each kind as often as any other."""
    draw, found = random.Random(seed), dict[str, Text]()
    while len(found) < count:
        label = list(goods)[len(found) % len(goods)]
        first, second = draw.sample(goods[label].split(), 2)
        text = f"{draw.choice(OPENINGS)} {first} and the {second} {draw.choice(ENDINGS)}"
        found.setdefault(text, Text(text, label))
    return list(found.values())


class Traffic:
    """A client that asks one new text after the other, of `goods`, all the while; what it saw."""

    def __init__(self, url: str, goods: dict[str, str], pause: float = 0.4) -> None:
        self.url = url
        self.goods = goods
        self.versions: list[str] = []
        """Of each answer, by its header; empty where there was none."""
        self.why: Counter[str] = Counter()
        self.right: dict[str, str] = {}
        """By text what is right, of all that was asked."""
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go)

    def ask(self, asked: list[Text], **headers: str) -> None:
        """One request with these texts."""
        self.right |= {one.text: one.label for one in asked}
        body = json.dumps({"input": [one.text for one in asked]}).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json", **headers})
        version = ""
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                answers = json.load(answer)["predictions"]
                assert len(answers) == len(asked)
                version = answer.headers["X-Model-Version"]
        except (OSError, ValueError, KeyError, AssertionError) as error:
            self.why[f"{type(error).__name__}: {error}"] += 1
        self.versions.append(version)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _go(self) -> None:
        draw = random.Random(0)
        while not self._over.wait(self._pause):
            self.ask(texts(self.goods, 3, draw.getrandbits(32))[draw.randrange(3) :][:1])
