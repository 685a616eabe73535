"""Names of columns."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from tests.data_cases.case import LABELS, LONG, PAIRS, TEXTS, Case, E, csv, jsonl, objects

OUT = io.BytesIO()
pq.write_table(
    pa.Table.from_arrays([pa.array(TEXTS), pa.array(LABELS), pa.array(LABELS)], ["text", "label", "label"]), OUT
)
TWICE = OUT.getvalue()
NAMES = [
    Case(
        "names",
        "accents in cp1252",
        E,
        {"r.csv": csv("text;catégorie", "{t};{c}").encode("cp1252")},
        columns=("catégorie",),
    ),
    Case(
        "names",
        "`xmin`, `ctid`, which PostgreSQL keeps for itself",
        "`xmin_`, `ctid_`",
        {"r.csv": csv("text,label,xmin,ctid,tableoid", '"{t}",{c},1,2,3')},
        columns=("xmin_", "ctid_", "tableoid_"),
    ),
    Case(
        "names",
        "more than 63 bytes",
        "cut to 63 bytes",
        {"r.csv": csv(f'text,label,"{LONG}"', '"{t}",{c},1')},
        columns=(LONG[:63],),
    ),
    Case(
        "names",
        "more than 63 bytes, cut within a character",
        "cut before that character",
        {"r.csv": csv(f"text,label,{'é' * 40}", '"{t}",{c},1')},
        columns=("é" * 31,),
    ),
    Case(
        "names",
        "equal in their first 63 bytes",
        "told apart by a number",
        {"r.csv": csv(f"text,label,{LONG}: a,{LONG}: b", '"{t}",{c},1,2')},
        columns=(LONG[:63], LONG[:61] + "_4"),
    ),
    Case(
        "names",
        "`a, a_5, a`: equal after renaming",
        "all different",
        {"r.csv": csv("text,label,a,a_5,a", '"{t}",{c},1,2,3')},
        columns=("a", "a_5", "a_6"),
    ),
    Case(
        "names",
        "empty",
        "`column_N`",
        {
            "r.csv": csv(",text,label", '{n},"{t}",{c}'),
        },
        columns=("column_1",),
    ),
    Case(
        "names",
        "an empty key (jsonl)",
        "`column_N`",
        {"r.jsonl": jsonl({"": 1, "text": t, "label": c} for t, c in PAIRS)},
        columns=("column_1",),
    ),
    Case("names", "a NUL in them", "without it", {"r.csv": csv("te\0xt,label")}),
    Case(
        "names",
        "half a surrogate pair in a key",
        "without it",
        {"r.jsonl": jsonl(objects(**{"a\ud800b": 1}))},
        columns=("ab",),
    ),
    Case(
        "names",
        "half a surrogate pair and nothing else",
        "`column_N`",
        {"r.jsonl": jsonl(objects(**{"\udfff": 1}))},
        columns=("column_3",),
    ),
    Case(
        "names",
        "quotes, percent signs, braces, SQL",
        "as they are",
        {"r.csv": csv('text,label,"a""b; DROP TABLE x; --%s{}"', '"{t}",{c},1')},
        columns=('a"b; DROP TABLE x; --%s{}',),
    ),
    Case(
        "names",
        "blanks, tabs and line ends around and in them",
        "blanks around go",
        {"r.csv": csv('"text "," label\t","two\nlines"', '"{t}",{c},1')},
        columns=("two\nlines",),
    ),
    Case(
        "names",
        "other scripts, emoji, key words",
        "as they are",
        {"r.csv": csv("text,label,наименование,列,🙂,select,user", '"{t}",{c},1,2,3,4,5')},
        columns=("наименование", "列", "🙂", "select", "user"),
    ),
    Case(
        "names",
        "capitals that differ",
        "two columns",
        {"r.csv": csv("text,label,Note,note", '"{t}",{c},1,2')},
        columns=("Note", "note"),
    ),
    Case(
        "names",
        "TEXT_COLUMN as long as it stands in the file",
        "the column is found",
        {"r.csv": csv(f'"{LONG}",label')},
        settings={"TEXT_COLUMN": LONG},
    ),
    Case(
        "names",
        "over 1,000 columns",
        "refused",
        {"r.csv": csv("text,label," + ",".join(f"c{n}" for n in range(1200)), '"{t}",{c}' + "," * 1200)},
        refused=("1,202 columns",),
    ),
    Case(
        "names",
        "the same two and what the second would become",
        "that name stays its own's",
        {"r.csv": csv("text,label,a,a,a_4", '"{t}",{c},1,2,x')},
        columns=("a", "a_5", "a_4"),
        types=("bigint", "bigint", "text"),
    ),
    Case(
        "names",
        "900 columns that PostgreSQL cannot hold in a row",
        "refused, with the place",
        {
            "r.csv": csv(
                "text,label," + ",".join(f"c{n}" for n in range(900)), '"{t}",{c}' + ",some words of text" * 900
            )
        },
        refused=("r.csv, line", "PostgreSQL cannot hold this (row is too big"),
    ),
    Case("names", "the same two (parquet)", "told apart by a number", {"r.parquet": TWICE}, columns=("label_3",)),
    Case(
        "names",
        "characters without width, marks and blanks around them",
        "they go",
        {"r.csv": csv("\u200btext,\xa0label\u200b,\u2060x\ufeff", '"{t}",{c},1')},
        columns=("text", "label", "x"),
        settings={"TEXT_COLUMN": "text", "LABEL_COLUMN": "label"},
    ),
    Case(
        "names",
        "TEXT_COLUMN in other capitals, or with accents in another form",
        "the column is found",
        {"r.csv": csv("TE\u0301XTE,Label", '"{t}",{c}')},
        settings={"TEXT_COLUMN": "t\u00e9xte", "LABEL_COLUMN": "LABEL"},
        columns=("TE\u0301XTE", "Label"),
    ),
    Case(
        "names",
        "the same where two columns fit",
        "refused",
        {"r.csv": csv("Text,TEXT,label", '"{t}",1,{c}')},
        settings={"TEXT_COLUMN": "text"},
        refused=("no column 'text'", "Text, TEXT, label"),
    ),
]
