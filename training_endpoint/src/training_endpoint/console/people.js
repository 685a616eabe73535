// Who is logged in, for the pages on which people change something.
"use strict";

const People = {
  person: null,

  async call(path, options) {
    // Not by the document's own address, which may have the account in it: no such address is fetched.
    const answer = await fetch(new URL(path, location.origin + location.pathname), options)
      .catch(() => { throw new Error("The console does not answer."); });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const error = new Error(told.error?.message ?? `The console answers ${answer.status}.`);
      error.code = told.error?.code;
      if (error.code === "login_wanted" || error.code === "wrong_token") People.person = null;
      throw error;
    }
    return told;
  },

  send(path, fields) {
    const body = JSON.stringify({ ...fields, ...(People.person ? { csrf: People.person.csrf } : {}) });
    return People.call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  },

  async load() {
    People.person = (await People.call("session")).person;
    return People.person;
  },

  async logIn(name, password) {
    People.person = null;
    People.person = (await People.send("login", { name, password })).person;
    try { localStorage.setItem("name", name); } catch { /* kept nowhere */ }
  },

  async logOut() {
    await People.send("logout", {});
    People.person = null;
  },

  name() {
    try { return localStorage.getItem("name") ?? ""; } catch { return ""; }
  },
};
