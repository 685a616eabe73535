# Reads .env as Compose does; every other reader of .env goes through this one.
#
#   awk -f launch/dotenv.awk .env              a line NAME=value for each, \ and newlines in values written as \\ and \n
#   awk -v want=NAME -f launch/dotenv.awk .env the value alone; exit status 3 where the file does not set it
#   awk -v replace=1 -f launch/dotenv.awk .env the file itself, each NAME for which NEW_NAME stands in the environment set
#                                              to that, and every other byte as it was
#
# Exit status 2, and a sentence, where Compose would refuse the file.

{ source = source $0 "\n" }

END {
  if (sub(/^\357\273\277/, "", source)) mark = "\357\273\277"
  at = 1
  size = length(source)
  copied = 1
  while (statement()) { }
  if (replace) printf "%s%s%s", mark, rewritten, substr(source, copied)
  else if (want == "") {
    for (i = 1; i <= count; i++) print names[i] "=" escaped(values[names[i]])
  } else {
    if (!(want in values)) exit 3
    printf "%s", values[want]
  }
}

function refuse(words) {
  printf "line %d of %s: %s\n", line_number(), FILENAME, words > "/dev/stderr"
  exit 2
}

function line_number(   n, text) {
  text = substr(source, 1, at - 1)
  n = gsub(/\n/, "", text)
  return n + 1
}

function blank(char) { return char == " " || char == "\t" || char == "\v" || char == "\f" || char == "\r" }

# One NAME=value, NAME: value, `export NAME=value` or a bare NAME, which takes its value from the environment.
function statement(   char, name, rest, begin) {
  while (at <= size) {
    char = substr(source, at, 1)
    if (char == "#") { while (at <= size && substr(source, at, 1) != "\n") at++ }
    else if (char == "\n" || blank(char)) at++
    else break
  }
  if (at > size) return 0
  rest = substr(source, at, 200)
  if (match(rest, /^export[ \t]+/)) at += RLENGTH
  name = ""
  begin = at
  while (at <= size) {
    char = substr(source, at, 1)
    if (char == "=" || char == ":" || char == "\n") break
    if (index("!\"$%&'()*+,/;<>?@\\^`{|}~#", char))
      refuse("unexpected \"" char "\" in a name; a line is NAME=value, or a comment that begins with #")
    name = name char
    at++
  }
  sub(/[ \t\v\f\r]+$/, "", name)
  if (name == "") refuse("a value without a name; a line is NAME=value, or a comment that begins with #")
  if (name ~ /[ \t]/) refuse("the name \"" name "\" has a space in it; a line is NAME=value, or a comment that begins with #")
  at++
  if (char == "\n") { if (name in ENVIRON) keep(name, ENVIRON[name]); return 1 }
  # A no-break space, which Compose takes for a blank, is two bytes.
  while (at <= size && (char = blank(substr(source, at, 1)) ? 1 : 2 * (substr(source, at, 2) == "\302\240"))) at += char
  ends = 0
  keep(name, value())
  if (replace && ("NEW_" name) in ENVIRON) {
    rewritten = rewritten substr(source, copied, begin - copied) name "=" ENVIRON["NEW_" name]
    copied = ends
  }
  return 1
}

function keep(name, text) {
  if (!(name in values)) names[++count] = name
  values[name] = text
}

function value(   quote, start, char, text, escape) {
  quote = substr(source, at, 1)
  if (quote != "\"" && quote != "'") {
    start = at
    while (at <= size && substr(source, at, 1) != "\n") at++
    text = substr(source, start, at - start)
    if (match(text, / #/)) text = substr(text, 1, RSTART - 1)
    sub(/([ \t\v\f\r]|\302\240)+$/, "", text)
    ends = start + length(text)
    return expanded(text)
  }
  start = at
  for (at++; at <= size; at++) {
    char = substr(source, at, 1)
    if (char == quote && !escape) {
      at++
      ends = at
      return quote == "\"" ? expanded(unescaped(text)) : text
    }
    if (char == "\\" && !escape) { escape = 1; continue }
    text = text (escape && char != quote ? "\\" : "") char
    escape = 0
  }
  at = start
  refuse("the quote " quote " is not closed")
}

function unescaped(text,   result, char, next_char) {
  while (match(text, /\\/)) {
    result = result substr(text, 1, RSTART - 1)
    next_char = substr(text, RSTART + 1, 1)
    text = substr(text, RSTART + 2)
    if (next_char == "n") char = "\n"
    else if (next_char == "r") char = "\r"
    else if (next_char == "t") char = "\t"
    else if (next_char == "a") char = "\a"
    else if (next_char == "b") char = "\b"
    else if (next_char == "f") char = "\f"
    else if (next_char == "v") char = "\v"
    else if (next_char == "\\") char = "\\"
    else if (next_char == "\"") char = "\""
    else if (next_char == "$") char = "$$"
    else char = "\\" next_char
    result = result char
  }
  return result text
}

# Replaces $NAME and ${NAME}, with :- - :+ + :? ? inside the braces; $$ is a dollar.
function expanded(text,   result, name, after, operator, word, depth, i, char, set, given) {
  while (i = index(text, "$")) {
    result = result substr(text, 1, i - 1)
    text = substr(text, i + 1)
    char = substr(text, 1, 1)
    if (char == "$") { result = result "$"; text = substr(text, 2); continue }
    if (match(text, /^[A-Za-z_][A-Za-z0-9_]*/)) {
      result = result known(substr(text, 1, RLENGTH))
      text = substr(text, RLENGTH + 1)
      continue
    }
    if (char != "{") { result = result "$"; continue }
    if (!match(text, /^\{[A-Za-z_][A-Za-z0-9_]*/)) refuse("${ is not followed by a name; a dollar of its own is written $$")
    name = substr(text, 2, RLENGTH - 1)
    after = RLENGTH + 1
    depth = 1
    for (i = after; i <= length(text) && depth; i++) {
      char = substr(text, i, 1)
      if (char == "{") depth++
      if (char == "}") depth--
    }
    if (depth) refuse("${" name " is not closed; a dollar of its own is written $$")
    word = substr(text, after, i - 1 - after)
    text = substr(text, i)
    operator = ""
    if (match(word, /^:?[-+?]/)) { operator = substr(word, 1, RLENGTH); word = substr(word, RLENGTH + 1) }
    else if (word != "") refuse("${" name word "} is not understood; a dollar of its own is written $$")
    given = known(name)
    set = (name in values || name in ENVIRON) && (operator !~ /:/ || given != "")
    if (operator ~ /\+$/) result = result (set ? expanded(word) : "")
    else if (set || operator == "") result = result given
    else if (operator ~ /-$/) result = result expanded(word)
    else refuse(name " is not set: " word)
  }
  return result text
}

function known(name) { return name in ENVIRON ? ENVIRON[name] : name in values ? values[name] : "" }

function escaped(text) { gsub(/\\/, "&&", text); gsub(/\n/, "\\n", text); return text }
