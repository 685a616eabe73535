"""How csv and tsv files are written."""

from tests.data_cases.case import LABELS, PAIRS, Case, E, csv

STRAY = "text,label\n" + "".join(
    ('"' if n in (3, 30) else "") + f"line {n} of text,{label}\n" for n, label in enumerate(LABELS * 2)
)
CSVS = [
    Case(
        "csv",
        "commas, semicolons, tabs, pipes or colons",
        "found over several rows",
        {"r.csv": csv("text|label", "{t}|{c}")},
    ),
    Case(
        "csv",
        "semicolons, commas in quoted names",
        "separator ;",
        {"r.csv": csv('"text, as written, in full";label', "{t};{c}")},
    ),
    Case(
        "csv",
        "semicolons and decimal commas",
        "separator ;",
        {"r.csv": csv("text;x;label", "{t};1,5;{c}")},
        columns=("x",),
        types=("text",),
    ),
    Case("csv", "tabs in a .csv", "separator tab", {"r.csv": csv("text\tlabel", "{t}\t{c}")}),
    Case(
        "csv",
        "commas, pipes in the texts",
        "separator ,",
        {"r.csv": csv(pairs=[(t.replace(",", " |"), c) for t, c in PAIRS])},
        rows=[(t.replace(",", " |"), c) for t, c in PAIRS],
    ),
    Case("csv", "Excel's `sep=;`", "the line is skipped", {"r.csv": "sep=;\n" + csv("text;label", "{t};{c}")}),
    Case("csv", "blank lines first, or lines of separators alone", "skipped", {"r.csv": "\n \n,,\n" + csv()}),
    Case("csv", "blank lines between rows", "skipped", {"r.csv": csv(ends="\n\n")}),
    Case(
        "csv",
        "a title above the header",
        "passed over, and told",
        {"r.csv": "Our guests 2026\n\n" + csv("text;label;n", "{t};{c};{n}")},
        says=("above the header", "Our guests 2026"),
    ),
    Case("csv", "colons", "separator :", {"r.csv": csv("text:label", "{t}:{c}")}, listed=False),
    Case(
        "csv",
        "comments above the header",
        "passed over, and told",
        {"r.csv": "# made by us, on a day\n# more\n" + csv()},
        says=("comments above the header",),
    ),
    Case(
        "csv",
        "a first row that may be no header",
        "taken for the header, and told",
        {"r.csv": csv("of a kind,mixed")},
        says=("taken for the header", "of a kind, mixed"),
    ),
    Case(
        "csv",
        "rows all shorter than the header",
        "refused, with their number",
        {"r.csv": csv("text,label,note")},
        refused=("looks like a label", "20 rows left out", "r.csv, line 2"),
    ),
    Case(
        "csv",
        "a separator in quotes in every row",
        "separator ,",
        {"r.csv": csv(line='"{t}; so; it; is",{c}')},
        rows=[(f"{t}; so; it; is", c) for t, c in PAIRS],
    ),
    Case(
        "csv",
        "apostrophes at the start of texts",
        "text",
        {"r.csv": csv(line="'t was {n},{c}")},
        rows=[(f"'t was {n}", c) for n, (_, c) in enumerate(PAIRS)],
    ),
    Case(
        "csv",
        "no header",
        "`column_N`, and told",
        {"r.csv": csv("x").partition("\n")[2]},
        says=("no header", "counts as a row"),
    ),
    Case(
        "csv",
        "no header, numbers first",
        "`column_N`, and told",
        {"r.csv": csv("x", '{n},"{t}",{c}').partition("\n")[2]},
        says=("no header",),
    ),
    Case(
        "csv",
        "the header again among the rows",
        "left out, and counted",
        {"r.csv": csv() + "text,label\n"},
        says=("1 rows left out: they repeat the header", "line 22"),
    ),
    Case("csv", "blanks before and after quotes", "they do not count", {"r.csv": csv("text, label", '"{t}" , "{c}"')}),
    Case("csv", "single quotes around cells", "they are quotes", {"r.csv": csv("'text','label'", "'{t}','{c}'")}),
    Case(
        "csv",
        "quotes escaped by a backslash",
        "quotes",
        {"r.csv": csv(line='"he said \\"{t}\\" to me",{c}')},
        rows=[(f'he said "{t}" to me', c) for t, c in PAIRS],
    ),
    Case(
        "csv",
        "doubled quotes, line ends in quotes",
        "as they should be",
        {"r.csv": csv(line='"a ""{t}""\nb",{c}')},
        rows=[(f'a "{t}"\nb', c) for t, c in PAIRS],
    ),
    Case(
        "csv",
        "stray quotes that would swallow rows",
        "taken for text, all rows kept, and told with the line",
        {"r.csv": STRAY},
        rows=[(('"' if n in (3, 30) else "") + f"line {n} of text", c) for n, c in enumerate(LABELS * 2)],
        says=("2 rows with a stray quote", "line 5"),
    ),
    Case(
        "csv",
        "a quote that never ends",
        "taken for text, all rows kept, and told with the line",
        {
            "r.csv": csv(line="{t}x,{c}".replace(", ", " "), pairs=[(t.replace(",", ""), c) for t, c in PAIRS])
            + '"open,good\nlast,bad\n'
        },
        rows=[*((t.replace(",", "") + "x", c) for t, c in PAIRS), ('"open', "good"), ("last", "bad")],
        says=("1 rows with a stray quote", "line 22"),
    ),
    Case(
        "csv",
        "stray quotes that enclose whole rows as a cell",
        "told with the line",
        {
            "r.csv": "text,label\n"
            + "".join(f"line {n},{c}\n" for n, c in enumerate(LABELS))
            + '"line 20,good\nline 21,bad\nline 22",good\n'
        },
        rows=[*((f"line {n}", c) for n, c in enumerate(LABELS)), ("line 20,good\nline 21,bad\nline 22", "good")],
        says=("a quote may be missing", "line 22"),
    ),
    Case(
        "csv",
        "quotes within a cell",
        "text",
        {"r.csv": csv(pairs=[(t.replace(",", ""), c) for t, c in PAIRS]) + 'so "good" it is,good\n"very" good,good\n'},
        rows=[*((t.replace(",", ""), c) for t, c in PAIRS), ('so "good" it is', "good"), ('"very" good', "good")],
        says=("1 rows with a stray quote",),
    ),
    Case(
        "csv",
        "rows of another width",
        "left out, counted, with the first line",
        {"r.csv": csv() + "one\na,b,c\n"},
        says=("2 rows left out: not the 2 cells", "line 22"),
    ),
    Case("csv", "separators at the end of rows", "they do not count", {"r.csv": csv(line='"{t}",{c},,')}),
    Case(
        "csv",
        "rows of empty cells",
        "left out, and counted",
        {"r.csv": csv() + ",\n,\n"},
        says=("2 rows left out: no cell holds anything",),
    ),
    Case("csv", "line ends \\r or \\r\\n", E, {"r.csv": csv(ends="\r")}),
    Case("csv", "line ends \\r\\n", E, {"r.csv": csv(ends="\r\n").encode()}, listed=False),
    Case("csv", "no line end after the last row", E, {"r.csv": csv().rstrip("\n")}),
    Case(
        "csv",
        "a cell of a megabyte",
        E,
        {"r.csv": csv() + "x" * 1_000_000 + ",good\n"},
        rows=[*PAIRS, ("x" * 1_000_000, "good")],
    ),
    Case("csv", "an empty file", "refused", {"r.csv": ""}, refused=("r.csv is empty",)),
    Case(
        "csv",
        ".tsv: tabs, quotes are part of the text",
        E,
        {"r.tsv": csv("text\tlabel", '"{t} "so"\t{c}')},
        rows=[(f'"{t} "so"', c) for t, c in PAIRS],
    ),
    Case(
        "csv",
        ".tsv with quotes around tabs or line ends",
        "they are quotes",
        {"r.tsv": csv("text\tlabel", '"{t}\nand\tmore"\t{c}')},
        rows=[(f"{t}\nand\tmore", c) for t, c in PAIRS],
    ),
]
