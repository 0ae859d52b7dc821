"use strict";
// The console is a client of the HTTP API and nothing more. The token lives in this
// page's memory only. What comes from outside is shown as text, never as markup.

const api = document.body.dataset.api;
const at = (id) => document.getElementById(id);
let token = "";
let reading = null; // ends the feed that is read

async function call(method, path, body) {
  const response = await fetch(api + path, {
    method, headers: { Authorization: "Bearer " + token }, body: body && JSON.stringify(body),
  });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error((answer.code ? answer.code + ": " : "") + (answer.detail || answer.title));
  return answer;
}

// say tells how something went that was asked for.
async function say(work) {
  at("message").textContent = "";
  try {
    await work();
  } catch (error) {
    at("message").textContent = error.message;
  }
}

function button(label, work) {
  const b = document.createElement("button");
  b.textContent = label;
  b.addEventListener("click", () => say(work));
  return b;
}

// row makes a row of texts, or of lists of buttons.
function row(cells, tag = "td") {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const td = document.createElement(tag);
    if (Array.isArray(cell)) td.append(...cell);
    else td.textContent = cell ?? "";
    tr.append(td);
  }
  return tr;
}

const table = (id, head, rows) => at(id).replaceChildren(row(head, "th"), ...rows.map((cells) => row(cells)));
const when = (time) => (time ? new Date(time).toLocaleString() : "");

async function showConnectors() {
  const list = await call("GET", "/connectors?count=connections");
  table("connectors", ["Key", "Name", "Version", "Kind", "Connections"],
    list.map((c) => [c.key, c.metadata.name, c.version, c.type, c.connections]));
}

const tenant = () => ({ scope: at("scope").value, identity: at("identity").value });
const ofTenant = ({ scope, identity }) =>
  `/scopes/${encodeURIComponent(scope)}/${identity === "" ? "=" : encodeURIComponent(identity)}/connections`;

async function showConnections() {
  const shown = tenant();
  const list = await call("GET", ofTenant(shown));
  const of = (c) => ofTenant(shown) + "/" + encodeURIComponent(c.connector);
  const account = (c) => "?account=" + encodeURIComponent(c.account);
  const act = (c, label, method, path) => button(label, async () => {
    if (method === "DELETE" && !confirm(`Disconnect ${c.connector} (${c.account})?`)) return;
    await call(method, of(c) + path + account(c));
    await showConnections();
  });
  table("connections", ["Connector", "Account", "State", "Config", "Last webhook", "Last action", "Last error", ""], list.map((c) => [
    c.connector, c.account, c.state, JSON.stringify(c.config), when(c.status?.last_webhook?.at), when(c.status?.last_action?.at),
    c.status?.last_error?.code, [
      act(c, c.enabled ? "Disable" : "Enable", "POST", "/toggle"),
      ...(c.granted_scopes ? [act(c, "Refresh", "POST", "/refresh")] : []),
      act(c, "Disconnect", "DELETE", ""),
    ]]));
}

async function invite() {
  const session = await call("POST", "/connect-sessions", tenant());
  const a = document.createElement("a");
  a.href = a.textContent = session.url;
  a.rel = "noreferrer";
  at("link").replaceChildren(a, ` until ${when(session.expires_at)}, for one browser`);
}

async function showDead() {
  const { items } = await call("GET", "/dead-letters?limit=100");
  table("dead", ["At", "Tenant", "Connector", "What", "Attempts", "Reason", ""], items.map((d) => [
    when(d.at), d.scope + "/" + d.identity, d.connector, d.kind + " " + d.name, d.attempts, d.reason,
    [button("Redrive", async () => { await call("POST", `/dead-letters/${d.id}/redrive`); await showDead(); })]]));
}

async function showQuarantine() {
  const { items } = await call("GET", "/quarantine?limit=100");
  table("quarantine", ["At", "Tenant", "Connector", "Reason", "Detail", "Bytes", ""], items.map((q) => [
    when(q.at), q.scope ? q.scope + "/" + q.identity : "", q.connector, q.reason, q.detail || q.path, q.body_bytes,
    q.redrivable ? [button("Redrive", async () => { await call("POST", `/quarantine/${q.id}/redrive`); await showQuarantine(); })] : ""]));
}

const mostEvents = 200;

function showEvent(event) {
  const list = at("events");
  const data = event.data ?? {};
  list.firstChild.after(row([when(event.time), event.type, event.subject, data.action, data.errorCode]));
  while (list.children.length > mostEvents + 1) list.lastChild.remove();
}

// read shows the events of one answer of the feed, and tells the id of each.
async function read(response, seen) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const lines of frames.map((frame) => frame.split("\n"))) {
      const data = lines.filter((l) => l.startsWith("data: ")).map((l) => l.slice(6)).join("\n");
      seen(lines.find((l) => l.startsWith("id: "))?.slice(4));
      if (data) showEvent(JSON.parse(data));
    }
  }
}

const soonest = 2000, latest = 60000; // milliseconds before the feed is asked for again

// follow reads the feed, and goes on where it was when it is cut off: soon, and ever
// later while it is refused. It ends with a token that is not accepted.
async function follow(ended) {
  table("events", ["At", "Type", "Subject", "Action", "Error"], []);
  for (let last = "", wait = soonest; !ended.aborted; ) {
    try {
      const headers = { Authorization: "Bearer " + token, ...(last && { "Last-Event-ID": last }) };
      const response = await fetch(api + "/events", { headers, signal: ended });
      if (response.status === 401 || response.status === 403) {
        at("message").textContent = "The events end here: the API token is not accepted any more. Enter one that is.";
        return;
      }
      wait = response.ok ? soonest : Math.min(2 * wait, latest);
      if (response.ok) await read(response, (id) => { last = id ?? last; });
    } catch { wait = Math.min(2 * wait, latest); /* cut off: again */ }
    if (!ended.aborted) await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

at("enter").addEventListener("submit", (e) => {
  e.preventDefault();
  say(async () => {
    token = at("token").value.trim();
    reading?.abort();
    await showConnectors();
    at("token").value = "";
    at("rooms").hidden = false;
    reading = new AbortController();
    follow(reading.signal);
    await Promise.all([showDead(), showQuarantine()]);
  });
});
at("tenant").addEventListener("submit", (e) => { e.preventDefault(); say(showConnections); });
at("invite").addEventListener("click", () => say(invite));
at("again-dead").addEventListener("click", () => say(showDead));
at("again-quarantine").addEventListener("click", () => say(showQuarantine));
