// What pages do beyond links and forms: parts that change are replaced, logs are followed, texts are copied, keys lead around.
// Every page works without it. It never makes markup of texts: the hub has escaped them, and logs become text nodes.

const root = document.documentElement;
const REFRESH_MS = 1000; // at most one request for the page in this time
const SLOW_MS = 10000; // what is no run, such as a worker, is looked at this often
const RETRY_MS = 3000;
const MAX_LINES = 2000;
root.classList.add("js");

// --- replacing what has changed ---

// Makes `old` like `fresh`, and touches nothing that is the same: the focus, the selection and open details stay.
function morph(old, fresh) {
  if (old.isEqualNode(fresh) || old.dataset?.keep !== undefined) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
    return;
  }
  // what a visitor types or chooses stays; a hidden field is the hub's
  if (old.matches("input:not([type=hidden]), select, textarea")) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!(name === "open" && old.nodeName === "DETAILS") && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  let have = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    let same = have;
    while (same && keyOf(same) !== keyOf(node)) same = same.nextSibling;
    if (!same) {
      old.insertBefore(node, have);
      continue;
    }
    while (have !== same) have = removed(have);
    have = same.nextSibling;
    morph(same, node);
  }
  while (have) have = removed(have);
}

// Tells siblings apart, so that a notice that comes or goes does not replace what is below it.
function keyOf(node) {
  return `${node.nodeName} ${node.id || node.getAttribute?.("name") || node.classList?.[0] || ""}`;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function replaceParts(page) {
  for (const part of document.querySelectorAll("[data-live][id]")) {
    if (!page.getElementById(part.id)) part.remove();
  }
  for (const part of [...page.querySelectorAll("[data-live][id]")]) {
    const old = document.getElementById(part.id);
    // a part that is new, such as the result of a job, goes where it is on the fresh page
    const before = part.previousElementSibling && document.getElementById(part.previousElementSibling.id);
    if (old) morph(old, part);
    else before?.after(part.cloneNode(true));
  }
  const [tools, fresh] = [document.querySelector(".tools"), page.querySelector(".tools")];
  if (tools && fresh && !tools.contains(document.activeElement)) morph(tools, fresh);
  document.title = page.title;
  root.dataset.now = page.documentElement.dataset.now;
  skew = Date.now() - Number(root.dataset.now);
  tell();
  arm();
}

function setReachable(reachable) {
  document.getElementById("banner").hidden = reachable;
  document.body.classList.toggle("stale", !reachable);
}

let busy = false;
let wanted = false;
let last = 0;
let timer;

// Asks for a refresh: at once, or when the last one is long enough ago. Does nothing while the page is hidden.
function refresh() {
  wanted = true;
  if (busy || document.hidden) return;
  clearTimeout(timer);
  timer = setTimeout(load, Math.max(0, last + REFRESH_MS - Date.now()));
}

async function load() {
  [busy, wanted, last] = [true, false, Date.now()];
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html", "bue-refresh": "1" }, cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const version = page.documentElement.dataset.version;
    // a new release, the end of the session, or a run that is gone: the browser shows what the hub says now
    if (answer.redirected || !answer.ok || version !== root.dataset.version) {
      if (answer.status < 500) return location.reload();
      throw new Error(`status ${answer.status}`);
    }
    replaceParts(page);
    setReachable(true);
  } catch {
    setReachable(false);
    wanted = true;
    setTimeout(() => refresh(), RETRY_MS);
  }
  busy = false;
  if (wanted && document.getElementById("banner").hidden) refresh();
}

let events;
let slow;

function listen() {
  if (events || document.hidden || root.dataset.live === "never") return;
  clearInterval(slow);
  slow = setInterval(refresh, SLOW_MS);
  if (root.dataset.live === "slow") return;
  const run = root.dataset.run;
  events = new EventSource(run ? `/v1/events?run=${run}` : "/v1/events");
  let isFirst = true;
  events.onopen = () => {
    if (!isFirst) refresh();
    isFirst = false;
  };
  events.onerror = () => {
    refresh();
    if (events?.readyState === EventSource.CLOSED) {
      events = undefined;
      setTimeout(listen, RETRY_MS);
    }
  };
  events.addEventListener("lagged", refresh);
  events.addEventListener("run", refresh);
}

function stop() {
  events?.close();
  clearInterval(slow);
  events = undefined;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return stop();
  listen();
  if (root.dataset.live !== "never") refresh();
});
addEventListener("pagehide", stop);
addEventListener("pageshow", listen);

// --- relative times, by the hub's clock ---

let skew = Date.now() - Number(root.dataset.now);
const UNITS = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];

function relative(distance) {
  const ms = Math.abs(distance);
  if (ms < 5000) return "just now";
  const [size, unit] = UNITS.find(([size]) => ms >= 2 * size) ?? UNITS[3];
  const text = `${Math.floor(ms / size)} ${unit}`;
  return distance < 0 ? `in ${text}` : `${text} ago`;
}

function tell() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = relative(Date.now() - skew - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(() => document.hidden || tell(), 5000);

// --- logs, while they are written ---

function follow(pre) {
  const positions = new Map();
  let source;
  const open = () => {
    source = new EventSource(pre.dataset.log);
    source.addEventListener("lines", (event) => append(pre, positions, JSON.parse(event.data)));
    source.addEventListener("lagged", () => pre.append("\n--- some lines are missing here ---\n"));
    source.addEventListener("end", () => {
      source.close();
      refresh();
    });
  };
  open();
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden && pre.isConnected) open();
  });
}

// Appends lines to a log. After a reconnection parts come again, from the beginning of the attempt.
function append(pre, positions, { attempt, position, lines }) {
  const bytes = new TextEncoder().encode(lines);
  const end = positions.get(attempt) ?? 0;
  const fresh = bytes.subarray(Math.max(0, end - position));
  if (fresh.length === 0) return;
  if (positions.size > 0 && !positions.has(attempt)) pre.append("\n--- next attempt ---\n");
  positions.set(attempt, position + bytes.length);
  const isAtEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
  pre.append(new TextDecoder().decode(fresh));
  while (pre.childNodes.length > MAX_LINES) pre.firstChild.remove();
  if (isAtEnd) pre.scrollTop = pre.scrollHeight;
}

// --- buttons that copy, and logs that are new on the page ---

function arm() {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  for (const pre of document.querySelectorAll("pre[data-log]:not([data-followed])")) {
    pre.dataset.followed = "";
    follow(pre);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    // without TLS browsers offer no clipboard: the text is selected instead
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Press Ctrl-C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
});

// --- keys ---

let isGoing = false;

function move(step) {
  const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a[href]"));
  if (rows.length === 0) return;
  const current = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[current < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(current + step, 0), rows.length - 1)];
  row.querySelector("a[href]").focus();
  row.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    document.querySelectorAll("details.help[open]").forEach((help) => (help.open = false));
    if (isTyping) event.target.blur();
    return;
  }
  if (isTyping) return;
  if (isGoing) {
    isGoing = false;
    const link = [...document.querySelectorAll("nav [data-key]")].find((link) => link.dataset.key === event.key);
    if (link) link.click();
    return;
  }
  const actions = {
    g: () => (isGoing = true),
    j: () => move(1),
    k: () => move(-1),
    "/": () => document.querySelector(".filters input")?.focus(),
    "?": () => {
      const keys = document.getElementById("keys");
      keys.open = true;
      keys.scrollIntoView();
      keys.querySelector("summary").focus();
    },
  };
  if (actions[event.key]) {
    event.preventDefault();
    actions[event.key]();
  }
});

listen();
arm();
