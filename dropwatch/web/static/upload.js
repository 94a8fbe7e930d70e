// <dropwatch-upload>: files and folders of this computer go to the server, and go on where they were after anything.
//
// The server's list says what it has; a file that is dropped again is found there by its path, size and time. The
// network part is tus-js-client (window.tus). Everything else is here; dropwatch/web/upload_panel.py puts it on a page.
//   data-off   why nothing can be uploaded here
//   "changed"  event; detail: {draft, files, done, size, received, busy}
//   restart()  begin with nothing, after the draft was submitted

const API = "/api/uploads", TUS = "/uploads/files";
const AT_ONCE = 3;          // files on their way at a time
const ROW = 44;             // pixels; as in upload.css
const RETRIES = [500, 1000, 2000, 4000, 8000, ...Array(2000).fill(15000)];  // milliseconds; about eight hours
const REMEMBERED = "dropwatch-draft";
// What desktops, file servers and office programs leave most often; the rest the server refuses (dropwatch/litter.py).
const LITTER = new RegExp(String.raw`^(\.DS_Store|\._.*|__MACOSX|\.localized|\.Spotlight-V100|\.fseventsd|\.Trashes`
  + String.raw`|Thumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|~\$.*|\.~lock\..*#`
  + String.raw`|\.directory|lost\+found|\.nfs.*|\.smbdelete.*|@eaDir|#recycle|\.snapshots?)$`, "is");

const SENDING = "sending", WAITING = "waiting", DONE = "done", FAILED = "failed", ABSENT = "absent";

export function amount(bytes) {
  let unit = 0;
  for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1000;
  return `${unit ? bytes.toFixed(1) : bytes} ${["bytes", "kB", "MB", "GB", "TB"][unit]}`;
}

export function span(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function made(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...inside);
  return element;
}

function bar(label) {
  const fill = made("div", { class: "dw-upload-fill" });
  const whole = made("div", { class: "dw-upload-bar", role: "progressbar", "aria-label": label,
                              "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  whole.show = (part) => {
    const percent = Math.floor(100 * part);
    whole.setAttribute("aria-valuenow", percent);
    fill.style.width = `${100 * part}%`;
  };
  return whole;
}

// -- what was dropped ------------------------------------------------------------------------------------

async function filesIn(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {  // a reader gives some of its entries at a time (100 in Chromium)
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const below of some) found.push(...await filesIn(below));
  }
}

async function dropped(transfer) {
  // The transfer is empty as soon as we wait for anything, so all entries are taken first.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, path: entry.name });
    else if (entry) found.push(...await filesIn(entry));
  }
  return found;
}

// -- asking the server -----------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

function wordsOf(status, body) {
  try {
    const said = JSON.parse(body);
    if (typeof said.detail === "string") return `${said.detail} ${said.remedy ?? ""}`.trim();
  } catch { /* not ours: a proxy in between */ }
  if (status === 401) return "You are signed out. Sign in again in another tab, then try again.";
  if (status === 413) return "A server in between lets no files of this size through.";
  return `The server refused this (${status}).`;
}

async function ask(method, path, data) {
  const answer = await fetch(path, {
    method, headers: { "Tus-Resumable": "1.0.0", ...(data ? { "Content-Type": "application/json" } : {}) },
    body: data ? JSON.stringify(data) : undefined,
  });
  if (!answer.ok) throw new Refused(answer.status, wordsOf(answer.status, await answer.text()));
  return answer.status === 204 ? null : answer.json();
}

// -- while files are on their way, nobody reloads this page ----------------------------------------------

// NiceGUI reloads a page when its server was away for some seconds. The files that were dropped would be lost with it:
// so while files are coming, we hear of that instead, and reload afterwards. One for all that upload on this page.
class StandStill {
  constructor() { this.on = false; this.due = false; this.kept = []; this.wanted = new Set(); }

  begin(by) {
    const socket = window.socket;
    this.wanted.add(by);
    if (this.on || !socket) return;
    this.on = true;
    for (const name of ["connect_error", "try_reconnect"]) {
      this.kept.push([name, socket.listeners(name)]);
      socket.off(name);
    }
    this.refused = (error) => { if (/handshake/i.test(error.message)) { this.due = true; socket.disconnect(); } };
    this.asked = () => { this.due = true; };
    socket.on("connect_error", this.refused);
    socket.on("try_reconnect", this.asked);
  }

  end(by) {
    this.wanted.delete(by);
    if (!this.on || this.wanted.size) return;
    this.on = false;
    const socket = window.socket;
    socket.off("connect_error", this.refused);
    socket.off("try_reconnect", this.asked);
    for (const [name, listeners] of this.kept) listeners.forEach((listener) => socket.on(name, listener));
    this.kept = [];
    if (this.due) window.location.reload();
  }
}

const still = new StandStill();

// -- the element -----------------------------------------------------------------------------------------

class DropwatchUpload extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.files = new Map();        // by path: {path, size, modified, id, received, state, error, file, tus}
    this.draft = null;
    this.paused = false;
    this.still = still;
    this.samples = [];
    this.releases = [];            // of the locks that this tab holds
    this.build();
    const off = this.dataset.off || (window.tus ? "" : "A part of this page could not be loaded. Reload it.");
    if (off) return this.turnOff(off);
    window.addEventListener("beforeunload", (event) => { if (this.busy()) event.preventDefault(); });
    window.addEventListener("online", () => this.pump());
    this.timer = setInterval(() => this.show(), 500);
    this.adopting = this.adopt();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    for (const one of this.files.values()) one.tus?.abort();
    this.files.clear();
    this.releases.forEach((release) => release());
    this.still.end(this);
  }

  // -- what it looks like

  build() {
    const chooser = (folder) => {
      const input = made("input", { type: "file", multiple: "", hidden: "", "aria-hidden": "true", tabindex: -1,
                                    "data-chooses": folder ? "folder" : "files" });
      if (folder) input.webkitdirectory = true;
      input.addEventListener("change", () => {
        this.add([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
        input.value = "";
      });
      return input;
    };
    this.inputs = [chooser(false), chooser(true)];
    const opens = (input, text) => made("button", { type: "button", class: "dw-button", onclick: () => input.click() }, text);
    this.zone = made("div", { class: "dw-upload-zone" },
      made("p", { class: "dw-upload-hint" }, "Drop files or a folder here"),
      made("p", {}, opens(this.inputs[0], "Choose files"), " ", opens(this.inputs[1], "Choose a folder")), ...this.inputs);
    this.note = made("p", { class: "dw-upload-note", role: "status" });
    this.total = bar("All files");
    this.figures = made("p", { class: "dw-upload-figures" });
    this.aloud = made("p", { class: "dw-unseen", "aria-live": "polite" });
    this.pauser = made("button", { type: "button", class: "dw-button", onclick: () => this.pause(!this.paused) }, "Pause");
    this.again = made("button", { type: "button", class: "dw-button", onclick: () => this.retry() }, "Try again");
    this.sorter = made("button", { type: "button", class: "dw-button", onclick: () => this.removeFailed() }, "Take out what failed");
    this.canceller = made("button", { type: "button", class: "dw-button", onclick: () => this.askCancel() }, "Discard all");
    this.spacer = made("div", { class: "dw-upload-spacer" });
    this.rows = made("ul", { class: "dw-upload-rows", "aria-label": "Files" });
    this.list = made("div", { class: "dw-upload-list", tabindex: 0, role: "region", "aria-label": "Files of this batch",
                              onscroll: () => this.paint() }, this.spacer, this.rows);
    this.summary = made("div", { class: "dw-upload-summary", hidden: "" }, this.total, this.figures,
      made("p", { class: "dw-upload-buttons" }, this.pauser, this.again, this.sorter, this.canceller), this.list);
    this.append(this.zone, this.note, this.summary, this.aloud);
    this.addEventListener("dragover", (event) => { event.preventDefault(); this.zone.classList.add("dw-over"); });
    this.addEventListener("dragleave", () => this.zone.classList.remove("dw-over"));
    this.addEventListener("drop", async (event) => {
      event.preventDefault();
      this.zone.classList.remove("dw-over");
      if (!this.timer) return;
      try {
        this.add(await dropped(event.dataTransfer));
      } catch (error) {
        this.say(`This could not be read: ${error.message}`);
      }
    });
  }

  turnOff(why) {
    this.zone.replaceChildren(made("p", {}, `Files of this computer cannot be uploaded. ${why}`));
    this.zone.classList.add("dw-off");
  }

  say(text) { this.note.textContent = text; }

  show() {
    const all = [...this.files.values()], now = performance.now();
    const size = all.reduce((sum, one) => sum + one.size, 0);
    const received = all.reduce((sum, one) => sum + one.received, 0);
    const count = (state) => all.filter((one) => one.state === state).length;
    const left = this.busy();
    this.samples = [...this.samples.filter(([at]) => now - at < 5000), [now, received]];
    const [then, before] = this.samples[0];
    const rate = now > then ? Math.max(0, 1000 * (received - before) / (now - then)) : 0;
    this.summary.hidden = !all.length;
    this.total.show(size ? received / size : Number(count(DONE) === all.length));
    const words = [`${count(DONE)} of ${all.length} files`, `${amount(received)} of ${amount(size)}`];
    if (left && rate > 0) words.push(`${amount(rate)}/s`, `${span((size - received) / rate)} left`);
    if (this.paused && left) words.push("paused");
    if (count(FAILED)) words.push(`${count(FAILED)} failed`);
    if (count(ABSENT)) words.push(`${count(ABSENT)} to be dropped again`);
    this.figures.textContent = words.join(", ");
    this.pauser.textContent = this.paused ? "Go on" : "Pause";
    this.pauser.hidden = !left;
    this.again.hidden = this.sorter.hidden = !count(FAILED);
    this.paint();
    this.speak(words, left);
    this.tell({ draft: this.draft, files: all.length, done: count(DONE), size, received, busy: left });
    if (left && !this.paused) this.still.begin(this); else this.still.end(this);
  }

  speak(words, left) {  // the state at once, figures every ten seconds
    const state = `${left} ${this.paused} ${this.files.size}`, now = performance.now();
    if (state === this.spoken && (!left || now - this.spokenAt < 10000)) return;
    [this.spoken, this.spokenAt] = [state, now];
    this.aloud.textContent = this.files.size ? words.join(", ") : "";
  }

  paint() {  // only the rows that are seen
    const all = [...this.files.values()];
    this.spacer.style.height = `${all.length * ROW}px`;
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - 3);
    const seen = all.slice(first, first + Math.ceil(this.list.clientHeight / ROW) + 6);
    this.rows.style.transform = `translateY(${first * ROW}px)`;
    while (this.rows.children.length > seen.length) this.rows.lastChild.remove();
    while (this.rows.children.length < seen.length) this.rows.append(this.row());
    seen.forEach((one, at) => this.rows.children[at].show(one, first + at + 1, all.length));
  }

  row() {
    const name = made("span", { class: "dw-upload-name" }), state = made("span", { class: "dw-upload-state" });
    const progress = bar("");
    const out = made("button", { type: "button", class: "dw-upload-out" }, "✕");
    const row = made("li", { class: "dw-upload-row" }, name, progress, state, out);
    out.addEventListener("click", () => this.remove(row.path));
    row.show = (one, at, all) => {
      row.path = one.path;
      row.dataset.state = one.state;
      row.setAttribute("aria-posinset", at);
      row.setAttribute("aria-setsize", all);
      name.textContent = name.title = one.path;
      progress.setAttribute("aria-label", one.path);
      progress.show(one.size ? one.received / one.size : Number(one.state === DONE));
      state.textContent = state.title = this.stateOf(one);
      out.setAttribute("aria-label", `Take ${one.path} out`);
    };
    return row;
  }

  stateOf(one) {
    if (one.error) return one.error;
    if (one.state === DONE) return amount(one.size);
    if (one.state === ABSENT) return `drop it again to go on (${amount(one.received)} of ${amount(one.size)})`;
    return one.received ? `${amount(one.received)} of ${amount(one.size)}` : amount(one.size);
  }

  tell(detail) {
    const said = JSON.stringify(detail);
    if (said === this.told) return;
    this.told = said;
    this.dispatchEvent(new CustomEvent("changed", { detail }));
  }

  // -- the draft

  async adopt() {  // what an earlier life of this page left
    try {
      const drafts = (await ask("GET", API)).filter((draft) => draft.files && this.isMine(draft));
      const known = sessionStorage.getItem(REMEMBERED);
      drafts.sort((one, other) => (other.draft === known) - (one.draft === known));
      for (const { draft } of drafts) {
        if (!this.draft && await this.hold(draft)) await this.recall(draft);
      }
    } catch (error) {
      this.say(error.message);
    }
    this.show();
  }

  isMine({ user, spool }) {  // of the drop folder that was chosen
    return !this.dataset.user || (user === this.dataset.user && spool === this.dataset.spool);
  }

  async recall(draft) {
    const { list } = await ask("GET", `${API}/${draft}`);
    if (this.draft) return;  // something was dropped meanwhile
    this.remember(draft);
    for (const one of list) {
      this.files.set(one.path, { ...one, state: one.received === one.size ? DONE : ABSENT });
    }
    const lacking = list.filter((one) => one.received < one.size).length;
    this.say(lacking
      ? `You uploaded this before. Drop the ${lacking === 1 ? "file that is" : `${lacking} files that are`} not complete `
        + "again: they go on where they were."
      : "You uploaded this before, and it is complete.");
  }

  remember(draft) {
    this.draft = draft;
    if (draft) sessionStorage.setItem(REMEMBERED, draft); else sessionStorage.removeItem(REMEMBERED);
  }

  async hold(draft) {  // two tabs do not put one batch together
    if (!navigator.locks) return true;
    return new Promise((resolve) => navigator.locks.request(`${REMEMBERED}-${draft}`, { ifAvailable: true }, (lock) => {
      resolve(Boolean(lock) && this.isConnected);
      return lock && this.isConnected ? new Promise((release) => { this.releases.push(release); }) : undefined;
    }));
  }

  async ensureDraft() {
    this.beginning ??= (async () => {
      if (!this.draft) {
        const { draft } = await ask("POST", API, this.dataset.user ? { user: this.dataset.user, spool: this.dataset.spool } : {});
        await this.hold(draft);
        this.remember(draft);
      }
    })().finally(() => { this.beginning = null; });
    return this.beginning;
  }

  restart() {
    this.files.clear();
    this.remember(null);
    this.say("");
    this.show();
  }

  // -- files

  busy() { return [...this.files.values()].some((one) => one.state === SENDING || one.state === WAITING); }

  async add(found) {
    const wanted = found.filter(({ path }) => !path.split("/").some((step) => LITTER.test(step)));
    if (!wanted.length) return;
    await this.adopting;  // what was dropped before a reload is gone on with, however quick the hand
    this.say("");
    for (const { file, path } of wanted) {
      const known = this.files.get(path);
      if (known && known.size === file.size && known.modified === file.lastModified) {
        if (known.state === ABSENT || known.state === FAILED) Object.assign(known, { file, state: WAITING, error: "" });
        continue;
      }
      if (known) await this.remove(path);  // it changed since: what the server has of it is another file
      this.files.set(path, { path, file, size: file.size, modified: file.lastModified, received: 0, state: WAITING });
    }
    try {
      await this.ensureDraft();
      this.pump();
    } catch (error) {
      for (const one of this.files.values()) if (one.state === WAITING) this.fail(one, error.message);
    }
    this.show();
  }

  pump() {
    if (this.paused || !this.draft) return;
    let sending = 0;
    for (const one of this.files.values()) if (one.state === SENDING) sending++;
    for (const one of this.files.values()) {
      if (sending >= AT_ONCE) return;
      if (one.state === WAITING) { this.send(one); sending++; }
    }
  }

  send(one) {
    one.state = SENDING;
    one.tus = new window.tus.Upload(one.file, {
      endpoint: `${TUS}/`,
      uploadUrl: one.id ? `${TUS}/${one.id}` : null,
      metadata: { draft: this.draft, path: one.path, modified: String(one.modified) },
      storeFingerprintForResuming: false,
      retryDelays: RETRIES,
      onShouldRetry: (error) => this.mayRetry(one, error),
      onUploadUrlAvailable: () => { one.id = one.tus.url.split("/").pop(); },
      onProgress: (sent) => { one.received = sent; one.error = ""; },
      onSuccess: () => { Object.assign(one, { state: DONE, received: one.size, tus: null, file: null, error: "" }); this.next(); },
      onError: (error) => {
        const answer = error.originalResponse;
        this.fail(one, answer ? wordsOf(answer.getStatus(), answer.getBody())
          : "This file cannot be read, or the server cannot be reached. Was it moved or changed?");
        this.next();
      },
    });
    one.tus.start();
  }

  mayRetry(one, error) {
    const status = error.originalResponse?.getStatus() ?? 0;
    const retry = status === 0 || status === 409 || status === 423 || status === 429 || (status >= 500 && status !== 507);
    if (retry && status !== 409) one.error = "The line was lost; it goes on by itself.";
    return retry;
  }

  fail(one, error) { Object.assign(one, { state: FAILED, error, tus: null }); }

  next() {
    this.pump();
    if (!this.busy()) this.show();
  }

  pause(paused) {
    this.paused = paused;
    for (const one of this.files.values()) {
      if (paused && one.state === SENDING) {
        one.tus.abort();
        Object.assign(one, { state: WAITING, tus: null, error: "" });
      }
    }
    this.pump();
    this.show();
  }

  retry() {
    for (const one of this.files.values()) {
      if (one.state === FAILED && one.file) Object.assign(one, { state: WAITING, error: "" });
    }
    this.add([]);
    this.ensureDraft().then(() => this.pump(), (error) => this.say(error.message));
    this.show();
  }

  async remove(path) {
    const one = this.files.get(path);
    one.tus?.abort();
    this.files.delete(path);
    try {
      if (one.id) await ask("DELETE", `${TUS}/${one.id}`);
    } catch (error) {
      if (error.status !== 404) this.say(error.message);
    }
    this.next();
    this.show();
  }

  async removeFailed() {
    for (const one of [...this.files.values()]) if (one.state === FAILED) await this.remove(one.path);
  }

  askCancel() {  // a second press within some seconds, so that nothing is lost by a slip of the hand
    if (this.sure) {
      this.sure = clearTimeout(this.sure);
      this.canceller.textContent = "Discard all";
      return this.cancel();
    }
    this.canceller.textContent = "Really discard all?";
    this.sure = setTimeout(() => { this.sure = 0; this.canceller.textContent = "Discard all"; }, 6000);
  }

  async cancel() {
    for (const one of this.files.values()) one.tus?.abort();
    const draft = this.draft;
    this.restart();
    this.paused = false;
    try {
      if (draft) await ask("DELETE", `${API}/${draft}`);
    } catch (error) {
      if (error.status !== 404) this.say(error.message);
    }
  }
}

customElements.define("dropwatch-upload", DropwatchUpload);
