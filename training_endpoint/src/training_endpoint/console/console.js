// Shows what /console/state and its neighbours tell. All that comes from there becomes text, never markup.
"use strict";

const STATE_MS = 5000, OTHERS_MS = 60000;
const VERDICTS = {
  first_champion: "First Champion", promoted: "Promoted", kept_no_difference: "Champion kept: no real difference",
  kept_worse: "Champion kept: the challenger is worse", kept_failed_check: "Champion kept: the challenger failed a check",
  kept_pinned: "Champion kept: a person holds it", override: "Decided by hand", unpin: "Released: training decides again",
  shadow_dropped: "Champion kept: labels say that the shadow is worse",
};
const METRICS = { accuracy: "accuracy", macro_f1: "macro F1", log_loss: "log loss" };
const by = (id) => document.getElementById(id);
const make = (tag, kind, ...content) => {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...content.filter((one) => one !== null && one !== undefined && one !== ""));
  return element;
};
const draw = (tag, attributes, ...content) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
};
const count = (number) => number.toLocaleString("en");
const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
const short = (value) => value === 0 ? "0" : value >= 100 ? count(Math.round(value)) : String(Number(value.toPrecision(3)));
const seconds = (value) => value < 90 ? `${Math.round(value)} s` : value < 5400 ? `${Math.round(value / 60)} min`
  : value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} days`;
const when = (iso) => {
  const element = make("time", "", new Date(iso).toLocaleString());
  element.dateTime = iso;
  return element;
};
const bytes = (value) => value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6)} MB`;
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const measured = (metrics) => Object.entries(METRICS).filter(([name]) => typeof (metrics || {})[name] === "number")
  .map(([name, said]) => `${said} ${name === "log_loss" ? short(metrics[name]) : percent(metrics[name])}`).join(", ");
const verdict = (word) => VERDICTS[word] || word.replaceAll("_", " ");
const none = (text) => make("li", "soft", text);

const ask = (path) => People.call(path);

// What is wrong, by part of the page; a part that works again takes its own words back.
const troubles = new Map();
async function part(name, work) {
  try {
    await work();
    troubles.delete(name);
  } catch (error) {
    troubles.set(name, error.message);
  }
  const said = [...new Set(troubles.values())].join(" ");
  if (by("trouble").textContent !== said) by("trouble").textContent = said;
}

let chosen = null, decisions = "", state = null;

function card(one) {
  const link = make("a", "", one.name);
  link.href = `#${encodeURIComponent(one.name)}`;
  if (one.name === chosen) link.setAttribute("aria-current", "true");
  const title = make("h3", "", link, one.is_default ? " (default)" : "");
  const item = make("li", one.name === chosen ? "current" : "", title);
  if (one.version === null) {
    item.append(make("p", "", "No version yet: its first run makes one."));
  } else {
    item.append(make("p", "", `Version ${one.version}`, one.since ? " since " : "", one.since ? when(one.since) : ""));
    if (one.pinned) item.append(make("p", "", "Held by a person: no verdict of training moves it."));
    const numbers = measured(one.metrics);
    if (numbers) item.append(make("p", "", numbers));
    if (one.verdict) item.append(make("p", "soft", `${verdict(one.verdict)}, by ${one.who}: ${one.reason}`));
    item.append(one.everywhere ? make("p", "good", "Every replica serves it.")
      : make("p", "wrong", one.trouble || "Not every replica serves it yet."));
    if (one.shadow) item.append(make("p", "soft", `Shadow: ${one.shadow}`));
  }
  return item;
}

function run(job) {
  const about = `${job.classifier || "default classifier"}: `;
  const item = make("li");
  if (job.status === "running") {
    const bar = make("progress");
    bar.max = 1;
    bar.value = job.progress;
    bar.setAttribute("aria-label", `Progress of the run of ${job.classifier || "the default classifier"}`);
    const left = job.eta_s ? `, about ${seconds(job.eta_s)} of training left` : "";
    item.append(make("p", "", make("strong", "", `${about}${job.phase}`), ` ${percent(job.progress)}${left}`), bar);
    if (job.message) item.append(make("p", "soft", job.message));
    if (job.started_at) item.append(make("p", "soft", "Since ", when(job.started_at), `; ${job.run_id}`));
  } else if (job.status === "queued") {
    const place = job.place ? `, place ${job.place}` : "";
    const begins = typeof job.starts_in_s === "number" ? `, begins in about ${seconds(job.starts_in_s)}` : "";
    item.append(make("p", "", make("strong", "", `${about}waits`), `${place}${begins}, since `, when(job.created_at)));
  } else {
    const said = job.status === "succeeded" ? (job.verdict ? verdict(job.verdict) : "done") : job.status;
    const text = job.status === "succeeded" ? job.verdict_text : job.error;
    const which = job.model_version ? ` (version ${job.model_version})` : "";
    item.append(make("p", "", make("strong", job.status === "failed" ? "wrong" : "", about + said), which, ", ",
      when(job.finished_at || job.created_at)));
    if (text) item.append(make("p", "soft", text));
  }
  return item;
}

function choose() {
  let asked = "";
  try { asked = decodeURIComponent(location.hash.slice(1)); } catch { /* no name */ }
  const names = state.classifiers.map((one) => one.name);
  const before = chosen;
  chosen = names.includes(asked) ? asked : names[0] ?? null;
  by("label").href = chosen === null ? "label" : `label#${encodeURIComponent(chosen)}`;
  for (const place of document.querySelectorAll(".chosen")) place.textContent = chosen ?? "no classifier yet";
  return chosen !== before;
}

function show(list, items, otherwise) {
  // What has the keyboard's focus, or is being read, stays in place while nothing about it changes.
  const fresh = make("div", "", ...(items.length ? items : [none(otherwise)]));
  if (fresh.innerHTML !== list.innerHTML) {
    const held = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    list.replaceChildren(...fresh.childNodes);
    if (held) [...list.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus();
  }
}

async function look() {
  state = await ask("state");
  by("links").hidden = !state.door;
  const changed = choose();
  show(by("served"), state.classifiers.map((one) => {
    const item = card(one);
    for (const alarm of state.alarms) if (alarm.classifier === one.name) item.append(make("p", "wrong", `Alarm: ${alarm.text}.`));
    return item;
  }), "No classifier yet: sh launch.sh imports the dataset that DATASET names.");
  show(by("runs"), state.jobs.map(run), "No run yet.");
  const newest = JSON.stringify(state.classifiers.map((one) => [one.name, one.decision]));
  if (changed || newest !== decisions) {
    decisions = newest;
    part("decisions", () => ledger(null));
    others();
  }
}

async function rows() {
  const mine = state.classifiers.find((one) => one.name === chosen);
  const asked = chosen;
  const told = await ask(`rows?classifier=${encodeURIComponent(asked)}`);
  if (asked !== chosen) return;
  const words = {
    "waiting": "wait for a run", "in a run": "are in a run that is going on or waits", "tried again": "were left by a run and are tried again",
    "given up": "were given up; any new row or a run by hand tries again",
  };
  const items = told.uncovered.map((one) => {
    const more = one.changes >= told.most ? "more than " : "";
    const item = make("li", one.state === "given up" ? "wrong" : "",
      `${more}${many(one.rows, "row")} (${many(one.changes, "change")}) ${words[one.state]}, since `, when(one.since));
    if (one.because) item.append(make("p", "soft", `Because ${one.because}`));
    return item;
  });
  if (!told.uncovered.length) items.push(make("li", "", "No row waits."));
  const covered = told.covered;
  items.push(make("li", "", covered.changes
    ? `${many(covered.rows, "row")} of the newest ${many(covered.changes, "change")} are covered by runs.`
    : "No change is covered by a run yet."));
  if (mine.learned_at) {
    const sizes = [[mine.train_rows, "to learn from"], [mine.test_rows, "to test with"]].filter(([rows]) => typeof rows === "number");
    items.push(make("li", "", "The newest run, ", when(mine.learned_at), sizes.length ? ", had " : "",
      sizes.map(([rows, what]) => `${many(rows, "row")} ${what}`).join(" and "),
      mine.left_out ? `; ${mine.left_out}.` : "; none was left out."));
  }
  if (told.feedback) items.push(make("li", "", `${many(told.feedback, "note")} of feedback ${told.feedback === 1 ? "is" : "are"} no row yet.`));
  if (told.of_none) {
    items.push(make("li", "wrong", `${many(told.of_none.changes, "change")} of tables that belong to no classifier, since `,
      when(told.of_none.since), `: ${told.of_none.tables.join(", ")}`));
  }
  show(by("rows"), items, "");
}

function decision(one) {
  const moved = one.from_version !== one.to_version;
  const versions = one.to_version === null ? "" : !moved || one.from_version === null ? `version ${one.to_version}`
    : `version ${one.from_version} → ${one.to_version}`;
  const item = make("li", moved ? "moved" : "", make("p", "", make("span", "verdict", verdict(one.verdict)), ` ${versions}`),
    make("p", "soft", when(one.at), ` by ${one.who}`, one.pinned ? ", held" : ""), make("p", "", one.reason));
  if (one.served_at) {
    item.append(make("p", "soft", `Served everywhere ${seconds(Math.max(0, (new Date(one.served_at) - new Date(one.at)) / 1000))} later.`));
  }
  if (one.judged) {
    const address = `comparison/${encodeURIComponent(chosen)}/${one.judged}`;
    const image = make("img"), link = make("a", "", image);
    const numbers = measured(one.metrics);
    const figure = make("figure", "", make("figcaption", "", `Version ${one.judged}${numbers ? `: ${numbers}` : ""}`), link);
    image.loading = "lazy";
    image.alt = `What version ${one.judged} takes for what on the test rows, beside the Champion of then`;
    image.addEventListener("error", () => link.replaceWith(make("p", "soft", "No picture of this comparison is to be had.")));
    image.src = address;
    link.href = address;
    item.append(figure);
  }
  const served = state.classifiers.find((known) => known.name === chosen)?.version;
  if (moved && one.removed) item.append(make("p", "soft", "Its files were removed since."));
  else if (moved && one.to_version !== null && one.to_version !== served) {
    const button = make("button", "", `Roll back to version ${one.to_version}`);
    button.type = "button";
    button.addEventListener("click", () => rollBack(one.to_version));
    item.append(make("p", "", button));
  }
  return item;
}

// What is shown when the button is pressed is what is decided about: a newer decision refuses it.
function rollBack(version) {
  const classifier = chosen, { decision } = state.classifiers.find((one) => one.name === chosen);
  by("back-title").textContent = `Roll back ${classifier} to version ${version}`;
  by("reason").value = by("back-trouble").textContent = "";
  const entrance = () => {
    by("back-login").hidden = People.person !== null;
    for (const field of [by("person"), by("password")]) field.required = People.person === null;
    by("person").value ||= People.name();
  };
  by("back-form").onsubmit = async (event) => {
    event.preventDefault();
    by("back-do").disabled = true;
    by("back-trouble").textContent = "";
    try {
      if (!People.person) await People.logIn(by("person").value.trim(), by("password").value);
      by("password").value = "";
      await People.send("rollback", { classifier, version, decision, reason: by("reason").value });
      by("back").close();
    } catch (error) {
      by("back-trouble").textContent = error.message;
      entrance();
    }
    by("back-do").disabled = false;
    part("state", look);
  };
  People.load().catch(() => {}).then(() => { entrance(); by("back").showModal(); by("reason").focus(); });
}
by("back-not").addEventListener("click", () => by("back").close());

async function ledger(before) {
  if (chosen === null) return;
  const asked = chosen;
  const told = await ask(`ledger?classifier=${encodeURIComponent(asked)}${before ? `&before=${before}` : ""}`);
  if (asked !== chosen) return;
  const items = told.decisions.map(decision);
  if (before) by("ledger").append(...items);
  else by("ledger").replaceChildren(...(items.length ? items : [none("Nothing was decided yet.")]));
  by("older").hidden = !told.more;
  by("older").onclick = () => part("decisions", () => ledger(told.decisions.at(-1).id));
}

const HIGH = 220, LEFT = 46, BOTTOM = 30, TOP = 12;

function plot(told) {
  const values = told.lines.flatMap((line) => line.points.flatMap((point) => point.slice(1))).filter((value) => value !== null);
  const caption = make("figcaption", "", `${told.title} (${told.unit})`);
  if (!values.length) return make("figure", "", caption, make("p", "soft", "Nothing is known of this time."));
  const whole = told.unit === "%";
  const low = whole ? Math.max(0, Math.floor(Math.min(...values) / 10) * 10) : 0;
  const high = whole ? 100 : nice(Math.max(...values));
  const wide = Math.max(240, by("plots").clientWidth);
  const x = (at) => LEFT + (wide - LEFT - 8) * (at - told.from) / (told.to - told.from);
  const y = (value) => TOP + (HIGH - TOP - BOTTOM) * (1 - (value - low) / (high - low || 1));
  const last = told.lines.map((line) => {
    const known = line.points.filter((point) => point[1] !== null);
    return `${line.name} ${short(known.at(-1)?.[1] ?? 0)} at last, ${short(Math.max(...known.map((point) => point[1])))} at most`;
  });
  const picture = draw("svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": `${told.title}, ${told.unit}: ${last.join("; ")}` });
  for (const share of [0, 0.5, 1]) {
    const value = low + (high - low) * share;
    picture.append(draw("line", { class: "grid", x1: LEFT, x2: wide - 8, y1: y(value), y2: y(value) }),
      draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
    const at = told.from + (told.to - told.from) * share;
    picture.append(draw("text", { x: x(at), y: HIGH - 6, "text-anchor": ["start", "middle", "end"][2 * share] }, clock(at, told.to - told.from)));
  }
  told.lines.forEach((line, number) => picture.append(drawn(line.points, `kind${number}`, x, y)));
  const keys = told.lines.map((line, number) => make("span", `kind${number}`, `${number ? "╌" : "━"} ${last[number]}`));
  return make("figure", "", caption, picture, make("p", "key", ...keys), make("p", "soft", told.note));
}

function drawn(points, kind, x, y) {
  const group = draw("g", { class: kind });
  const band = points.filter((point) => point.length === 4);
  if (band.length > 1) {
    const edge = [...band.map((point) => [point[0], point[3]]), ...band.toReversed().map((point) => [point[0], point[2]])];
    group.append(draw("polygon", { class: "band", points: edge.map(([at, value]) => `${x(at)},${y(value)}`).join(" ") }));
  }
  // A gap in what is known is a gap in the line; a point alone is a dot.
  let piece = [];
  for (const point of [...points, [0, null]]) {
    if (point[1] !== null) { piece.push(point); continue; }
    if (piece.length > 1) group.append(draw("polyline", { class: "line", points: piece.map((one) => `${x(one[0])},${y(one[1])}`).join(" ") }));
    if (piece.length === 1) {
      const [at, value, least, most] = piece[0];
      if (most !== undefined) group.append(draw("line", { class: "line", x1: x(at), x2: x(at), y1: y(least), y2: y(most) }));
      group.append(draw("circle", { class: "dot", cx: x(at), cy: y(value), r: 3 }));
    }
    piece = [];
  }
  return group;
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 4, 5, 10].map((one) => one * power).find((one) => one >= value) || 1;
}

function clock(at, span) {
  const options = span > 172800 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" };
  return new Date(at * 1000).toLocaleString([], options);
}

async function plots() {
  const asked = chosen;
  const told = await ask(`plots?hours=${by("hours").value}&classifier=${encodeURIComponent(asked)}`);
  if (asked === chosen) by("plots").replaceChildren(...told.plots.map(plot));
}

async function storage() {
  const told = await ask("storage");
  show(by("places"), told.places.map((one) => make("li", "", make("strong", "", one.place), `: ${bytes(one.used)} used`,
    one.total ? `, ${bytes(one.free)} free of ${bytes(one.total)}` : "")), "Nothing answers.");
  show(by("removals"), told.next.removals.slice(0, 100).map((text) => make("li", "", text)),
    told.next.trouble || "Nothing: all that is here is kept.");
  const last = told.last;
  by("cleaned").replaceChildren(...(last ? ["The last clean-up, ", when(last.at), `, removed ${many(last.removed.length, "thing")}.`,
    last.trouble ? ` It could not do all: ${last.trouble}` : ""] : ["None since the training endpoint started."]));
}

function others() {
  if (chosen === null) return;
  part("rows", rows);
  part("plots", plots);
}

const visible = (work) => () => { if (!document.hidden) work(); };
addEventListener("hashchange", () => part("state", look));
document.addEventListener("visibilitychange", visible(() => part("state", look)));
by("hours").addEventListener("change", () => part("plots", plots));
setInterval(visible(() => part("state", look)), STATE_MS);
setInterval(visible(() => { if (state) others(); part("storage", storage); }), OTHERS_MS);
part("state", look);
part("storage", storage);
