// One text at a time. All that comes from elsewhere becomes text, never markup.
"use strict";

const KEYS = 9, LOOK_MS = 15000, MOST_UNDO = 50;
const OVER = ["not_your_item", "no_such_item", "label_settled"]; // codes of errors after which a text is not this person's
const by = (id) => document.getElementById(id);
const make = (tag, kind, ...content) => {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...content);
  return element;
};
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const folded = (name) => name.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");

let item = null, hint = null, busy = false, naming = null, chosen = null;
const done = []; // what can be undone, the newest last: {id, said}

// One thing at a time: whatever is pressed while another is under way is not meant for the next text.
async function act(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    by("trouble").textContent = "";
  } catch (error) {
    by("trouble").textContent = error.message;
    // What is no longer this person's, or wanted by nobody, makes room for the next.
    if (OVER.includes(error.code)) await next().catch(() => {});
  } finally {
    busy = false;
    if (!People.person) entrance();
  }
  const then = chosen;
  chosen = null;
  if (then) await act(then);
}

// What is chosen from a list stays chosen, so it is done even if something else is under way, as soon as that is over.
function pick(work) {
  if (busy) chosen = work;
  else act(work);
}

function entrance() {
  const inside = People.person !== null;
  by("login").hidden = inside;
  by("review").hidden ||= !inside;
  by("work").hidden = by("who").hidden = !inside;
  by("name").textContent = inside ? People.person.name : "";
  if (!inside) {
    item = null;
    done.length = 0;
    by("person").value ||= People.name();
    (by("person").value ? by("password") : by("person")).focus();
  }
}

async function enter() {
  entrance();
  if (!People.person) return;
  const { classifiers } = await People.call("label/classifiers");
  let asked = location.hash.slice(1);
  try { asked = decodeURIComponent(asked); } catch { /* as it is */ }
  by("classifier").replaceChildren(...classifiers.map((name) => make("option", "", name)));
  by("classifier").value = classifiers.includes(asked) ? asked : classifiers[0] ?? "";
  if (classifiers.length) {
    await review().catch(() => {});
    await next(); // the last, so that keys count as soon as a text is there
  } else show(null, null, "There is no classifier yet: sh launch.sh imports the dataset that DATASET names.");
}

async function review() {
  const told = await People.call(`label/notes?classifier=${encodeURIComponent(by("classifier").value)}`);
  by("review").hidden = !told.notes.length;
  by("notes").replaceChildren(...told.notes.map((note) => {
    const decide = (said, field) => {
      const button = make("button", "", said);
      button.type = "button";
      button.addEventListener("click", () => act(async () => { await People.send("label/review", { [field]: [note.id] }); await review(); }));
      return button;
    };
    return make("li", "", make("blockquote", "", note.text), make("p", "soft", `Version ${note.version} said “${note.predicted}”, an application says “${note.label}”.`),
      make("p", "choices", decide(`It is “${note.label}”`, "accept"), decide("Refuse", "refuse")));
  }));
}

async function next() {
  const told = await People.send("label/next", { classifier: by("classifier").value, kind: by("kind").value });
  await show(told.item, told.counts, told.note);
}

const sorted = () => by("sort").getAttribute("aria-pressed") === "true";

async function show(new_item, counts, note) {
  // Nothing of the next text is on the screen before all of it is.
  hint = new_item && sorted() ? await People.call(`label/hint?id=${new_item.id}`) : null;
  item = new_item;
  naming = null;
  by("item").hidden = !item;
  by("note").hidden = !note;
  by("note").textContent = note ?? "";
  by("hint").hidden = by("sure").hidden = true;
  by("filter").value = "";
  if (counts) tell(counts);
  by("undo").disabled = !done.length;
  if (!item) return;
  by("text").textContent = item.text;
  by("text").scrollTop = 0;
  classes();
  by("text").focus({ preventScroll: true });
}

function tell(counts) {
  by("counts").textContent = `${counts.open} to label, ${counts.today} labelled by you today, ${counts.settled} rows made`
    + (counts.because ? `. ${counts.waiting} wait: ${counts.because}` : "");
  by("refused").replaceChildren(...counts.refused.map((one) => make("p", "wrong", `“${one.label}” became no row: ${one.because}`)));
}

// A class may have the name of what every object has.
function score(name) {
  return Object.hasOwn(hint?.scores ?? {}, name) ? hint.scores[name] : undefined;
}

function shown() {
  const wanted = folded(by("filter").value);
  const found = item.labels.filter((name) => folded(name).includes(wanted));
  // Those that begin with it come first, that which is it before all.
  const rank = (name) => folded(name) === wanted ? 0 : folded(name).startsWith(wanted) ? 1 : 2;
  if (sorted() && hint?.scores) found.sort((a, b) => (score(b) ?? -1) - (score(a) ?? -1));
  return wanted ? found.sort((a, b) => rank(a) - rank(b)) : found;
}

function classes() {
  by("classes").replaceChildren(...shown().map((name, number) => {
    const button = make("button", "");
    button.type = "button";
    if (number < KEYS) button.append(make("kbd", "", String(number + 1)));
    button.append(make("span", "class", name));
    if (sorted() && score(name) !== undefined) button.append(make("span", "score", percent(score(name))));
    button.addEventListener("click", () => act(() => choose(name)));
    return make("li", "", button);
  }));
  const named = by("filter").value.trim();
  by("new").hidden = !named || item.labels.includes(named);
  by("name-new").textContent = `New class “${named}”`;
}

async function choose(label, more = {}) {
  const id = item.id;
  try {
    await People.send("label/submit", { id, label, ...more });
  } catch (error) {
    if (error.code === "label_settled") done.push({ id }); // by an answer that did not arrive: it can be undone
    if (error.code !== "new_label") throw error;
    naming = label;
    by("sure").hidden = false;
    by("sure-text").textContent = error.message;
    by("sure-no").focus();
    return;
  }
  await went({ id, said: `Labelled “${label}”.` });
}

async function went(what) {
  done.push(what);
  if (done.length > MOST_UNDO) done.shift();
  by("done").textContent = what.said;
  await next();
}

const skip = async () => {
  const id = item.id;
  await People.send("label/skip", { id });
  await went({ id, said: "Skipped." });
};

async function undo() {
  try {
    const told = await People.send("label/undo", { id: done.at(-1).id }).catch((error) => {
      if (OVER.includes(error.code)) done.pop(); // else it can be tried again
      throw error;
    });
    done.pop();
    by("done").textContent = "Taken back.";
    await show(told.item, null, null);
  } finally {
    by("undo").disabled = !done.length;
  }
}

async function guess() {
  hint ??= await People.call(`label/hint?id=${item.id}`);
}

async function answer() {
  await guess();
  const said = hint.label === null ? ["No model has answered this text."]
    : [`Version ${hint.version ?? "?"} says “${hint.label}”`, score(hint.label) === undefined ? "." : ` (${percent(score(hint.label))}).`];
  if (hint.given !== null) said.push(` The row says “${hint.given}”.`);
  by("hint").replaceChildren(...said);
  by("hint").hidden = false;
}

async function sort() {
  await guess();
  by("sort").setAttribute("aria-pressed", String(!sorted()));
  classes();
}

const on = (id, work) => by(id).addEventListener("click", () => act(work));
on("skip", skip);
on("undo", undo);
on("ask", answer);
on("sort", sort);
on("name-new", () => choose(by("filter").value.trim(), { new: true }));
on("sure-yes", () => choose(naming, { new: true, sure: true }));
on("sure-no", async () => { by("sure").hidden = true; by("text").focus(); });
on("logout", async () => { await People.logOut(); by("password").value = ""; });
by("classifier").addEventListener("change", () => pick(async () => {
  location.hash = encodeURIComponent(by("classifier").value);
  done.length = 0;
  await review().catch(() => {});
  await next();
}));
by("kind").addEventListener("change", () => pick(next));
by("filter").addEventListener("input", () => { if (item) classes(); });
by("filter").addEventListener("keydown", (event) => {
  if (event.key === "Escape") { by("filter").value = ""; if (item) classes(); by("text").focus(); }
  // The Enter that ends what an input method composes chooses nothing.
  if (event.key !== "Enter" || event.repeat || event.isComposing || !item || !by("filter").value.trim()) return;
  const [first] = shown();
  if (first !== undefined) act(() => choose(first));
});
by("form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    await People.logIn(by("person").value.trim(), by("password").value);
    by("password").value = "";
    await enter();
  });
});
addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (!People.person || ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
  const key = event.key.toLowerCase(); // with Caps Lock too
  if (key === "u" && done.length) act(undo);
  if (!item || !by("sure").hidden) return;
  const number = Number(event.key);
  if (key === "s") act(skip);
  else if (key === "h") act(answer);
  else if (event.key === "/") { event.preventDefault(); by("filter").focus(); }
  else if (number >= 1 && number <= KEYS) {
    const name = shown()[number - 1];
    if (name !== undefined) act(() => choose(name));
  }
});
setInterval(() => { if (!document.hidden && People.person && !item && by("classifier").value) act(next); }, LOOK_MS);
act(async () => { await People.load(); await enter(); });
