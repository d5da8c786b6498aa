// What a phone has to send: kept in IndexedDB until the server has it, sent in order, again after every failure.
// Every item has a key, by which the server does it once however often it arrives.
const STORE = "outbox";
const WAITS_S = [2, 5, 10, 30, 60];

function openStore() {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.open("hotline-field", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null); // a private window: kept in the page alone
    } catch {
      resolve(null);
    }
  });
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Events: "change" (the items are others), "sent" (detail: the item), "progress" (detail: {key, percent}). */
export class Outbox extends EventTarget {
  constructor(base, csrf) {
    super();
    this.base = base;
    this.csrf = csrf;
    this.items = [];
    this.state = "idle"; // idle, sending, waiting, signed-out
    this.failures = 0;
  }

  async start() {
    this.store = await openStore();
    if (this.store) {
      const all = await done(this.store.transaction(STORE).objectStore(STORE).getAll());
      this.items = all.filter((item) => item.base === this.base).sort((a, b) => a.at - b.at);
    }
    addEventListener("online", () => this.kick());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.kick());
    this.tell("change");
    this.kick();
  }

  /** `item`: {url, label, fields, file, name}. Resolves when it is kept. */
  async add(item) {
    const kept = { ...item, key: crypto.randomUUID(), base: this.base, at: Date.now() + this.items.length / 1000, problem: "" };
    await this.keep(kept);
    this.items.push(kept);
    this.tell("change");
    this.kick();
  }

  async keep(item) {
    if (!this.store) return;
    try {
      await done(this.store.transaction(STORE, "readwrite").objectStore(STORE).put(item));
    } catch {} // the disk is full: kept in the page alone
  }

  async drop(item) {
    this.items = this.items.filter((other) => other !== item);
    if (this.store) await done(this.store.transaction(STORE, "readwrite").objectStore(STORE).delete(item.key));
    this.tell("change");
  }

  async again(item) {
    item.problem = "";
    await this.keep(item);
    this.tell("change");
    this.kick();
  }

  kick() {
    clearTimeout(this.timer);
    if (this.state !== "sending") this.run();
  }

  async run() {
    this.state = "sending";
    for (let item; (item = this.items.find((each) => !each.problem)); ) {
      this.tell("change");
      const answer = await this.send(item);
      if (answer.status >= 200 && answer.status < 300) {
        this.failures = 0;
        await this.drop(item);
        this.tell("sent", item);
      } else if (answer.status === 403 && answer.text.includes("表单已失效") && !item.renewed && (await this.renew())) {
        item.renewed = true;
      } else if (answer.status === 401) {
        return this.rest("signed-out");
      } else if (answer.status >= 400 && answer.status < 500 && answer.status !== 429 && answer.status !== 408) {
        item.problem = answer.problem;
        await this.keep(item);
      } else {
        this.timer = setTimeout(() => this.run(), 1000 * WAITS_S[Math.min(this.failures++, WAITS_S.length - 1)]);
        return this.rest("waiting");
      }
    }
    this.rest("idle");
  }

  rest(state) {
    this.state = state;
    this.tell("change");
  }

  send(item) {
    return new Promise((resolve) => {
      const body = new FormData();
      body.append("csrf", this.csrf);
      body.append("key", item.key);
      for (const [name, value] of item.fields) body.append(name, value);
      if (item.file) body.append("file", item.file, item.name);
      const request = new XMLHttpRequest();
      request.timeout = 120_000;
      request.upload.onprogress = (event) =>
        event.lengthComputable && this.tell("progress", { key: item.key, percent: (100 * event.loaded) / event.total });
      request.onload = () => {
        let said = {};
        try {
          said = JSON.parse(request.responseText);
        } catch {}
        const problem = [said.error ?? "没有成功", said.hint].filter(Boolean).join("。");
        resolve({ status: request.status, text: request.responseText, problem });
      };
      request.onerror = request.ontimeout = () => resolve({ status: 0, text: "", problem: "" });
      request.open("POST", item.url);
      request.setRequestHeader("Accept", "application/json");
      request.send(body);
    });
  }

  /** A new token of the forms, after the browser has forgotten the cookie of the old one. */
  async renew() {
    try {
      const answer = await fetch(this.base, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const csrf = page.querySelector("main[data-csrf]")?.dataset.csrf;
      if (!answer.ok || !csrf) return false;
      this.csrf = csrf;
      return true;
    } catch {
      return false;
    }
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
