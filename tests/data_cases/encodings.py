"""Encodings."""

import json

from tests.data_cases.case import ACCENTS, CYRILLIC, PAIRS, Case, E, csv, zipped

ENCODINGS = [
    Case(
        "encodings",
        "UTF-8, with or without a byte order mark",
        E,
        {"r.csv": csv(pairs=ACCENTS).encode("utf-8-sig")},
        rows=ACCENTS,
    ),
    Case("encodings", "UTF-16 with a mark", E, {"r.csv": csv(pairs=ACCENTS).encode("utf-16")}, rows=ACCENTS),
    Case(
        "encodings",
        "UTF-16, big end first, with a mark",
        E,
        {"r.csv": b"\xfe\xff" + csv(pairs=ACCENTS).encode("utf-16-be")},
        rows=ACCENTS,
        listed=False,
    ),
    Case(
        "encodings",
        "UTF-16 without a mark",
        "imported, and the assumption told",
        {"r.csv": csv(pairs=ACCENTS).encode("utf-16-le")},
        rows=ACCENTS,
        says=("utf-16-le assumed",),
    ),
    Case(
        "encodings",
        "the same, big end first",
        "imported, and the assumption told",
        {"r.csv": csv(pairs=ACCENTS).encode("utf-16-be")},
        rows=ACCENTS,
        says=("utf-16-be assumed",),
        listed=False,
    ),
    Case(
        "encodings",
        "UTF-16 without a mark, other scripts",
        "imported, and the assumption told",
        {"r.csv": csv(pairs=CYRILLIC).encode("utf-16-le")},
        rows=CYRILLIC,
        says=("utf-16-le assumed",),
    ),
    Case("encodings", "UTF-32 with a mark", E, {"r.csv": csv(pairs=ACCENTS).encode("utf-32")}, rows=ACCENTS),
    Case(
        "encodings",
        "UTF-32 without a mark",
        "imported, and the assumption told",
        {"r.csv": csv(pairs=ACCENTS).encode("utf-32-le")},
        rows=ACCENTS,
        says=("utf-32-le assumed",),
    ),
    Case(
        "encodings",
        "UTF-16 that is cut within a character",
        "imported, and told",
        {"r.csv": csv(pairs=ACCENTS).encode("utf-16") + b"\n"},
        rows=ACCENTS,
        says=("ends within a character",),
    ),
    Case(
        "encodings",
        "UTF-16 with half a surrogate pair",
        "imported; the damage is told with its line",
        {
            "r.csv": csv(pairs=[("x\ud800y", "good"), *PAIRS])
            .encode("utf-16-le", "surrogatepass")
            .join((b"\xff\xfe", b""))
        },
        rows=[("x\ufffdy", "good"), *PAIRS],
        says=("1 characters are damaged", "line 2"),
    ),
    Case(
        "encodings",
        "a mark of UTF-16 before something else",
        "refused",
        {"r.csv": b"\xff\xfe" + b"\x00\xd8" * 50},
        refused=("r.csv is not utf-16-le", "damaged"),
    ),
    Case(
        "encodings",
        "cp1252 or Latin-1",
        "imported, and the assumption told",
        {"r.csv": csv(pairs=ACCENTS).encode("cp1252")},
        rows=ACCENTS,
        says=("cp1252 assumed", "'café'", "set ENCODING"),
    ),
    Case(
        "encodings",
        "cp1252 with its quotes and dashes",
        "imported, and the assumption told",
        {"r.csv": csv(pairs=[(f"“{t}” – café", c) for t, c in PAIRS]).encode("cp1252")},
        rows=[(f"“{t}” – café", c) for t, c in PAIRS],
        says=("cp1252 assumed",),
    ),
    Case(
        "encodings",
        "UTF-8 with some bytes of cp1252",
        "imported as both; told with the line",
        {"r.csv": csv(pairs=ACCENTS).encode() + "crème,good\n".encode("cp1252")},
        rows=[*ACCENTS, ("crème", "good")],
        says=("1 places are not UTF-8", "line 22"),
    ),
    Case(
        "encodings",
        "half a surrogate pair as UTF-8",
        "\N{REPLACEMENT CHARACTER}, told with the line",
        {"r.csv": csv().encode() + b"a\xed\xa0\x80b,good\n"},
        rows=[*PAIRS, ("a\ufffdb", "good")],
        says=("not UTF-8", "line 22"),
    ),
    Case(
        "encodings",
        "cp1251 and other scripts",
        "refused: ENCODING must be set",
        {"r.csv": csv(pairs=CYRILLIC).encode("cp1251")},
        refused=("r.csv is not UTF-8", "set ENCODING"),
    ),
    Case(
        "encodings",
        "Shift-JIS, GBK, Big5 …",
        "refused: ENCODING must be set",
        {"r.csv": csv(pairs=[(f"とても良い店 {n}", "良" if n % 2 else "悪") for n in range(20)]).encode("shift_jis")},
        refused=("r.csv is not UTF-8", "set ENCODING"),
    ),
    Case(
        "encodings",
        "any of Python's, with ENCODING=cp1251",
        E,
        {"r.csv": csv(pairs=CYRILLIC).encode("cp1251")},
        rows=CYRILLIC,
        settings={"ENCODING": "cp1251"},
    ),
    Case(
        "encodings",
        "something else than ENCODING says",
        "refused, with the line",
        {"r.csv": csv().encode() + b"\xff,good\n"},
        refused=("r.csv, after line", "is not ascii", "ENCODING"),
        settings={"ENCODING": "ascii"},
    ),
    Case(
        "encodings",
        "ENCODING that Python does not know",
        "refused",
        {"r.csv": csv()},
        refused=("ENCODING is 'klingon'",),
        settings={"ENCODING": "klingon"},
    ),
    Case(
        "encodings",
        "ENCODING that is no text's (rot13, base64)",
        "refused",
        {"r.csv": csv()},
        refused=("ENCODING is 'base64'",),
        settings={"ENCODING": "base64"},
    ),
    Case(
        "encodings",
        "a spreadsheet or zip called .csv",
        "refused",
        {"r.csv": zipped(a="b")},
        refused=("r.csv is no text but a zip or spreadsheet",),
    ),
    Case(
        "encodings",
        "other bytes called .csv",
        "refused",
        {"r.csv": bytes(range(32)) * 50},
        refused=("r.csv is no text",),
    ),
    Case(
        "encodings",
        "jsonl in UTF-16 or cp1252",
        "as csv",
        {
            "r.jsonl": "".join(
                json.dumps({"text": t, "label": c}, ensure_ascii=False) + "\n" for t, c in ACCENTS
            ).encode("cp1252")
        },
        rows=ACCENTS,
        says=("cp1252 assumed",),
    ),
    Case(
        "encodings",
        "NUL characters in texts",
        "they go, and are told with the line",
        {"r.csv": csv() + "nul\0l,good\n"},
        rows=[*PAIRS, ("null", "good")],
        says=("NUL characters removed", "line 22"),
    ),
]
