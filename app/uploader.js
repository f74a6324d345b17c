// Sends files of any size in chunks to the app's own route. The sending lives on the window, so that it goes
// on while the person looks at other pages; this component only draws it.

const PARALLEL_FILES = 2;
const FIRST_CHUNK = 1 << 20;
const LARGEST_CHUNK = 16 << 20;
const LEAST_CHUNK = 64 << 10; // Where a proxy takes not even this much, it takes no uploads.
const RECENT_SECONDS = 60;
const RETRY_SECONDS = [1, 2, 5, 10, 20, 30];

const TABLES = (() => {
  // Eight tables: CRC-32 by eight bytes a step, several hundred MB/s where one byte a step gives under a hundred.
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    tables[0][n] = c;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 8; t++) tables[t][n] = (tables[t - 1][n] >>> 8) ^ tables[0][tables[t - 1][n] & 255];
  }
  return tables;
})();

function crc32(bytes) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let c = 0xffffffff;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const low = c ^ view.getUint32(i, true);
    const high = view.getUint32(i + 4, true);
    c =
      t7[low & 255] ^ t6[(low >>> 8) & 255] ^ t5[(low >>> 16) & 255] ^ t4[low >>> 24] ^
      t3[high & 255] ^ t2[(high >>> 8) & 255] ^ t1[(high >>> 16) & 255] ^ t0[high >>> 24];
  }
  for (; i < bytes.length; i++) c = t0[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ((c ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

class Refused extends Error {
  constructor(message, status, accepted, byProxy = false) {
    super(message);
    this.status = status;
    this.accepted = accepted;
    this.byProxy = byProxy;
  }
  // What passes by itself. 408: a part came to a halt under way.
  get passing() {
    return this.status === 408 || this.status === 409 || this.status === 422 || this.status === 429 || (this.status >= 500 && this.status !== 507);
  }
}

async function call(path, token, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, "X-BioPrune-Token": token } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server cannot be reached. Trying again.", 503);
  }
  const body = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) {
    // Our own routes always say what is wrong.
    const message = response.status === 413
      ? "A proxy in front of the server refuses parts of any size. It must let bodies of 1 MiB pass."
      : `The server answered ${response.status}.`;
    throw new Refused(body.error || message, response.status, body.accepted, !body.error);
  }
  return body;
}

// The sending of one file.
class Transfer {
  constructor(manager, file) {
    this.manager = manager;
    this.file = file;
    this.key = `${file.name}\n${file.size}\n${file.lastModified}`;
    this.accepted = 0;
    this.state = "waiting"; // waiting, sending, retrying, paused, finished, failed
    this.message = "";
    this.rate = 0;
    this.chunk = FIRST_CHUNK;
  }

  async run() {
    this.state = "sending";
    this.message = "";
    this.abort = new AbortController();
    let failures = 0;
    while (this.state === "sending" || this.state === "retrying") {
      try {
        await this.step();
        failures = 0;
      } catch (error) {
        if (error.name === "AbortError") break;
        if (error.status === 413 && error.byProxy && this.smaller()) {
          // At once, and smaller.
        } else if (error.status === 401) {
          this.answer = null;
          this.manager.renew();
          failures += 1;
        } else if (error.accepted !== undefined) {
          this.accepted = error.accepted;
          failures += 1;
        } else if (error.passing) {
          failures += 1;
        } else {
          this.state = "failed";
          this.message = error.message || "This file can no longer be read. Choose it again.";
        }
        if (failures > 0 && this.state !== "failed") await this.wait(error, failures);
      }
      this.manager.draw();
    }
    this.manager.next();
  }

  async step() {
    if (!this.answer) {
      this.take(await call(this.manager.endpoint, this.manager.token, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ name: this.file.name, size: this.file.size, modified: this.file.lastModified }),
        signal: this.abort.signal,
      }));
    } else if (this.accepted === this.file.size && !this.answer.complete) {
      this.take(await call(`${this.manager.endpoint}/${this.answer.id}`, this.answer.token, { signal: this.abort.signal }));
    } else {
      await this.send();
    }
    if (this.answer.complete) {
      this.state = "finished";
      this.manager.finished(this);
    }
  }

  async send() {
    const start = performance.now();
    const end = Math.min(this.file.size, this.accepted + Math.min(this.chunk, this.manager.largest));
    const bytes = new Uint8Array(await this.file.slice(this.accepted, end).arrayBuffer());
    const before = this.accepted;
    this.sent = bytes.length;
    this.take(await call(`${this.manager.endpoint}/${this.answer.id}?offset=${before}`, this.answer.token, {
      method: "PUT",
      headers: { "Content-Type": "application/octet-stream", "X-Chunk-CRC32": crc32(bytes) },
      body: bytes,
      signal: this.abort.signal,
    }));
    const seconds = Math.max(0.001, (performance.now() - start) / 1000);
    const rate = (this.accepted - before) / seconds;
    this.rate = this.rate ? 0.7 * this.rate + 0.3 * rate : rate;
    // Chunks of about a second: steady progress on a slow line, little overhead on a fast one.
    if (seconds < 0.7) this.chunk = Math.min(this.manager.largest, this.chunk * 2);
    else if (seconds > 2) this.chunk = Math.max(Math.min(FIRST_CHUNK, this.manager.largest), this.chunk / 2);
  }

  // A proxy before the server refuses bodies of this size (nginx more than 1 MiB, unless told otherwise): no
  // file sends as much again. Whether there is anything smaller to try.
  smaller() {
    const largest = 2 ** (Math.ceil(Math.log2(this.sent)) - 1);
    if (!(largest >= LEAST_CHUNK)) return false; // Nor where nothing was sent yet.
    this.manager.largest = Math.min(this.manager.largest, largest);
    this.chunk = Math.min(this.chunk, this.manager.largest);
    return true;
  }

  take(answer) {
    this.answer = answer;
    this.accepted = answer.accepted;
    // What waits behind this file may begin when no page is there any more to ask for a token.
    this.manager.token = answer.begin;
    if (this.state === "retrying") this.state = "sending";
    this.message = "";
  }

  async wait(error, failures) {
    this.state = "retrying";
    this.message = error.message;
    this.manager.draw();
    const seconds = RETRY_SECONDS[Math.min(failures, RETRY_SECONDS.length) - 1];
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      this.abort.signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
    if (this.abort.signal.aborted) return;
  }

  pause() {
    this.state = "paused";
    this.rate = 0;
    this.abort?.abort();
  }

  async discard() {
    this.pause();
    if (this.answer) await discardUpload(this.manager.endpoint, this.answer);
  }
}

// The chunk that was under way may hold the file for a moment longer; then the server says 409.
async function discardUpload(endpoint, upload) {
  for (const seconds of [0, 0.3, 1, 3]) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    try {
      await call(`${endpoint}/${upload.id}`, upload.token, { method: "DELETE" });
      return;
    } catch (error) {
      if (!error.passing) return;
    }
  }
}

// All transfers into one project.
class Manager {
  constructor() {
    this.transfers = [];
    this.unfinished = [];
    this.arrived = [];
    this.asked = new Set(); // Ids of unfinished uploads that were to be discarded, and whether so is asked.
    this.largest = LARGEST_CHUNK;
    this.views = new Set();
    window.addEventListener("beforeunload", (event) => {
      if (this.transfers.some((t) => t.state === "sending" || t.state === "retrying" || t.state === "waiting")) event.preventDefault();
    });
  }

  add(files) {
    for (const file of files) {
      const transfer = new Transfer(this, file);
      const same = this.transfers.find((t) => t.key === transfer.key && t.state !== "failed" && t.state !== "finished");
      if (same) {
        if (same.state === "paused") this.resume(same);
        continue;
      }
      this.transfers = this.transfers.filter((t) => t.key !== transfer.key);
      this.transfers.push(transfer);
    }
    this.next();
  }

  next() {
    const busy = this.transfers.filter((t) => t.state === "sending" || t.state === "retrying").length;
    this.transfers.filter((t) => t.state === "waiting").slice(0, Math.max(0, PARALLEL_FILES - busy)).forEach((t) => t.run());
    this.draw();
  }

  resume(transfer) {
    transfer.state = "waiting";
    transfer.message = "";
    this.next();
  }

  async remove(transfer) {
    this.transfers = this.transfers.filter((t) => t !== transfer);
    this.draw();
    await transfer.discard();
    this.forget(transfer.answer);
    this.next();
  }

  async removeUnfinished(upload) {
    this.ask(upload, false);
    // With the newest token, not the one of when the row was drawn.
    await discardUpload(this.endpoint, this.unfinished.find((one) => one.id === upload.id) ?? upload);
    this.forget(upload);
  }

  // Somebody else may have begun it: asked twice.
  ask(upload, asked = true) {
    if (asked) this.asked.add(upload.id);
    else this.asked.delete(upload.id);
    this.draw();
  }

  forget(upload) {
    if (upload) this.unfinished = this.unfinished.filter((one) => one.id !== upload.id);
    this.changed();
  }

  // What an earlier visit began and nobody is sending now.
  waiting() {
    return this.unfinished.filter(
      (one) => !this.transfers.some((t) => t.answer?.id === one.id || (t.file.name === one.name && t.file.size === one.size)),
    );
  }

  finished(transfer) {
    this.transfers = this.transfers.filter((t) => t !== transfer);
    this.arrived.push(transfer.answer.id);
    this.announce = `${transfer.file.name} has been uploaded.`;
    this.changed();
  }

  changed() { this.views.forEach((view) => view.changed()); }
  renew() { this.views.forEach((view) => view.renew()); }
  draw() { this.views.forEach((view) => view.draw()); }
}

function managerOf(data) {
  window.bioprune ??= { uploads: new Map() };
  const managers = window.bioprune.uploads;
  if (!managers.has(data.project)) managers.set(data.project, new Manager());
  const manager = managers.get(data.project);
  manager.endpoint = data.endpoint;
  manager.token = data.token;
  manager.unfinished = data.unfinished;
  return manager;
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 999.5 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${unit === 0 || bytes >= 99.95 ? Math.round(bytes).toLocaleString("en") : bytes.toFixed(1)} ${units[unit]}`;
}

function left(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min left`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min left`;
}

function status(transfer) {
  const share = `${size(transfer.accepted)} of ${size(transfer.file.size)}`;
  switch (transfer.state) {
    case "waiting": return `${size(transfer.file.size)}, waiting`;
    case "paused": return `${share}, paused`;
    case "failed": return "";
    case "retrying": return `${share}, waiting for the server`;
    default: {
      if (!transfer.rate) return share;
      return `${share}, ${size(transfer.rate)}/s, ${left((transfer.file.size - transfer.accepted) / transfer.rate)}`;
    }
  }
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// A row is made once and then only updated: buttons keep their focus while the figures change.
function makeRow(manager, transfer) {
  const name = element("span", { class: "name", title: transfer.file.name }, transfer.file.name);
  const figures = element("span", { class: "figures" });
  const bar = element("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": transfer.file.name }, element("i"));
  const message = element("p", { class: "message" });
  const toggle = element("button", {
    type: "button",
    onclick: () => {
      if (transfer.state === "sending" || transfer.state === "retrying" || transfer.state === "waiting") transfer.pause();
      else manager.resume(transfer);
      manager.next();
    },
  });
  const remove = element("button", { type: "button", "aria-label": `Discard ${transfer.file.name}`, onclick: () => manager.remove(transfer) }, "Discard");
  const row = element("li", {}, element("div", { class: "line" }, name, figures, toggle, remove), bar, message);
  row.update = () => {
    const part = Math.floor((100 * transfer.accepted) / Math.max(1, transfer.file.size));
    row.dataset.state = transfer.state;
    figures.textContent = status(transfer);
    bar.setAttribute("aria-valuenow", String(part));
    bar.firstChild.style.width = `${(100 * transfer.accepted) / Math.max(1, transfer.file.size)}%`;
    message.textContent = transfer.message;
    const word = transfer.state === "paused" ? "Resume" : transfer.state === "failed" ? "Try again" : "Pause";
    if (toggle.textContent !== word) {
      toggle.textContent = word;
      toggle.setAttribute("aria-label", `${word} ${transfer.file.name}`);
    }
  };
  return row;
}

function makeWaiting(manager, upload) {
  const button = (word, onclick) =>
    element("button", { type: "button", "aria-label": `${word} ${upload.name}`, onclick }, word);
  const buttons = [];
  let message = "Interrupted. Choose the same file again to continue.";
  if (upload.recent) {
    message = "Sent from another browser, or interrupted in the last minute. Choose the same file again to continue.";
  } else if (manager.asked.has(upload.id)) {
    message = "What has arrived of it will be lost, whoever sent it.";
    buttons.push(button("Discard for good", () => manager.removeUnfinished(upload)), button("Keep", () => manager.ask(upload, false)));
  } else {
    buttons.push(button("Discard", () => manager.ask(upload)));
  }
  return element("li", { "data-state": "waiting" },
    element("div", { class: "line" },
      element("span", { class: "name", title: upload.name }, upload.name),
      element("span", { class: "figures" }, `${size(upload.accepted)} of ${size(upload.size)}`),
      ...buttons),
    element("p", { class: "message" }, message));
}

const CONNECTED = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const manager = managerOf(data);
  parentElement.querySelector(".limit").textContent = data.limit;
  parentElement.querySelector("input").setAttribute("accept", data.accept || "");
  const connected = CONNECTED.get(parentElement);
  if (connected?.manager === manager) {
    connected.use(setTriggerValue);
    manager.draw();
    return connected.disconnect;
  }

  const zone = parentElement.querySelector(".zone");
  const input = parentElement.querySelector("input");
  const list = parentElement.querySelector(".sending");
  const earlier = parentElement.querySelector(".earlier");
  const live = parentElement.querySelector("[aria-live]");
  const rows = new Map();
  let drawn = "";
  let later = null;
  let trigger = setTriggerValue;
  list.replaceChildren();

  const view = {
    draw() {
      const waiting = manager.waiting();
      const now = JSON.stringify(waiting.map((one) => [one.id, one.accepted, one.recent, manager.asked.has(one.id)]));
      if (now !== drawn) {
        // Not while nothing changes: a button would lose its focus with every part that another file sends.
        earlier.replaceChildren(...waiting.map((upload) => makeWaiting(manager, upload)));
        drawn = now;
      }
      if (waiting.some((one) => one.recent)) {
        later ??= setTimeout(() => { later = null; view.renew(); }, 1000 * RECENT_SECONDS);
      }
      for (const [transfer, row] of rows) {
        if (!manager.transfers.includes(transfer)) { row.remove(); rows.delete(transfer); }
      }
      for (const transfer of manager.transfers) {
        if (!rows.has(transfer)) {
          const row = makeRow(manager, transfer);
          rows.set(transfer, row);
          list.append(row);
        }
        rows.get(transfer).update();
      }
      if (manager.announce) { live.textContent = manager.announce; manager.announce = ""; }
    },
    // All of them each time: of two messages in one run of the page, the last one counts.
    changed() { trigger("changed", { finished: manager.arrived, at: Date.now() }); },
    renew() { trigger("renew", Date.now()); },
  };
  manager.views.add(view);

  parentElement.querySelector(".choose").onclick = () => input.click();
  input.onchange = () => { manager.add(input.files); input.value = ""; };
  let depth = 0;
  zone.ondragenter = (event) => { event.preventDefault(); depth += 1; zone.classList.add("over"); };
  zone.ondragover = (event) => event.preventDefault();
  zone.ondragleave = () => { depth -= 1; if (depth <= 0) zone.classList.remove("over"); };
  zone.ondrop = (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove("over");
    manager.add(event.dataTransfer.files);
  };
  const disconnect = () => { clearTimeout(later); manager.views.delete(view); CONNECTED.delete(parentElement); };
  CONNECTED.set(parentElement, { manager, disconnect, use: (current) => { trigger = current; } });
  view.draw();
  return disconnect;
}
