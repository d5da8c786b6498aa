// Reviewing a transcript: one sentence is edited at a time. What was typed stays until the server has it; the server
// renders everything, so after each change the transcript is read anew.
import { toast } from "./toasts.js";

const NEW_SENTENCE_MS = 3000;
const OFFLINE = { error: "没有连上服务器，文字还在，请检查网络后再保存" };
const ticket = location.pathname;
const list = () => document.querySelector("[data-transcript]");
const bar = () => document.querySelector("[data-review]");
const player = () => document.querySelector("transcript-player");
const rows = () => [...list().querySelectorAll(".utterance[data-at]")];
const tidy = (text) => text.replace(/\s+/g, " ").trim();
let editor = null; // the open editor: { row, form, field, key, sent, added }
let selected = null; // the row worked on last

class Refusal extends Error {
  constructor(status, { error, hint, version } = {}) {
    super([error, hint].filter(Boolean).join("。") || "服务器暂时没有响应，请稍后再试");
    this.status = status;
    this.version = version;
  }
}

// ---- The server ----

async function readPage() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" }).catch(() => {
    throw new Refusal(0, OFFLINE);
  });
  if (answer.type === "opaqueredirect") throw new Refusal(401); // to the sign-in
  if (!answer.ok) throw new Refusal(answer.status);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** A form's token belongs to the sign-in: after signing in again in another window there is another one. */
function takeToken(page) {
  const fresh = page.querySelector("input[name=csrf]")?.value;
  const stale = fresh && fresh !== document.querySelector("input[name=csrf]").value;
  if (stale) for (const input of document.querySelectorAll("input[name=csrf]")) input.value = fresh;
  return stale;
}

async function send(action, fields, again = true) {
  const csrf = document.querySelector("input[name=csrf]").value;
  const body = new URLSearchParams({ csrf, base: bar().dataset.version, ...fields });
  const answer = await fetch(`${ticket}/transcript/${action}`, {
    method: "POST", body, headers: { Accept: "application/json" }, redirect: "error",
  }).catch(() => {
    throw new Refusal(0, OFFLINE);
  });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 403 && again && takeToken(await readPage())) return send(action, fields, false);
  throw new Refusal(answer.status, problem);
}

async function refresh() {
  const page = await readPage();
  takeToken(page);
  const fresh = page.querySelector("[data-transcript]");
  if (!fresh) return;
  const top = list().scrollTop;
  list().replaceChildren(...fresh.children);
  list().scrollTop = top;
  for (const part of ["[data-review]", "[data-versions]", "[data-version-name]"]) {
    document.querySelector(part)?.replaceWith(page.querySelector(part));
  }
  player().reread?.();
}

function say(text, tone = "") {
  const state = document.querySelector("[data-save-state]");
  state.textContent = text;
  state.dataset.tone = tone;
}

// ---- Rows ----

function select(row) {
  for (const other of list().querySelectorAll(".selected")) other.classList.remove("selected");
  selected = row ? Number(row.dataset.at) : null;
  if (!row) return;
  row.classList.add("selected");
}

function currentRow() {
  const all = rows();
  return document.activeElement?.closest?.(".utterance[data-at]") ?? list().querySelector(".utterance.current[data-at]")
    ?? all[selected] ?? all.find((row) => row.classList.contains("unsure")) ?? all[0];
}

function nextUnsure(after) {
  const unsure = rows().filter((row) => row.classList.contains("unsure"));
  return unsure.find((row) => Number(row.dataset.at) > after) ?? unsure[0];
}

function goToUnsure({ play = false } = {}) {
  const row = nextUnsure(selected ?? -1);
  select(row);
  row?.scrollIntoView({ block: play ? "nearest" : "center" });
  if (row && play && player().audible) player().playFrom(Number(row.dataset.start), Number(row.dataset.end));
}

async function confirmRow(row, confirmed) {
  try {
    say("正在保存…");
    await send("confirm", { at: row.dataset.at, confirmed });
    await refresh();
    select(rows()[Number(row.dataset.at)]);
    say("已保存", "done");
  } catch (error) {
    await explain(error);
  }
}

/** A change without typed text failed: say so; where the transcript has changed, show what it is now. */
async function explain(error) {
  say("没有保存", "lost");
  toast(error.status === 401 ? "登录已失效，请在新窗口登录后重试" : error.message, error.status === 401 ? "/login" : "");
  if (error.status === 409) await refresh().catch(() => {});
}

// ---- The editor ----

function openEditor(row, text = null) {
  if (!row || editor?.row === row) return;
  if (editor && changed() && !confirm("正在修改的句子还没有保存，要放弃吗？")) return;
  close();
  if (row.dataset.masked !== undefined) {
    select(row);
    toast("这句话里有隐去的号码，先显示完整号码再修改");
    document.getElementById("unmask")?.showModal();
    return;
  }
  const form = document.getElementById("sentence-editor").content.firstElementChild.cloneNode(true);
  const speaker = form.querySelector("[data-speaker]");
  if (![...speaker.options].some((option) => option.value === row.dataset.speaker)) {
    speaker.append(new Option(row.querySelector(".utterance-head span").textContent, row.dataset.speaker));
  }
  speaker.value = row.dataset.speaker;
  const field = form.querySelector("textarea");
  field.value = text ?? row.dataset.text;
  editor = { row, form, field, key: "", sent: "", added: row.dataset.at === undefined };
  for (const name of ["split", "merge", "delete"]) form.querySelector(`[data-${name}]`).hidden = editor.added;
  form.querySelector("[data-replay]").hidden = !player().audible;
  row.classList.add("editing");
  row.append(form);
  if (!editor.added) select(row);
  grow();
  field.focus();
  wireEditor();
  row.scrollIntoView({ block: "nearest" });
}

function close() {
  if (!editor) return;
  const { row, form, added } = editor;
  editor = null;
  form.remove();
  row.classList.remove("editing");
  if (added) row.remove();
}

function cancel() {
  const row = editor.row;
  close();
  row.querySelector("[data-edit]")?.focus({ preventScroll: true });
}

const changed = () => tidy(editor.field.value) !== (editor.added ? "" : editor.row.dataset.text);

function grow() {
  editor.field.style.height = "auto";
  editor.field.style.height = `${editor.field.scrollHeight + 2}px`;
}

/** What is to be done, in the order in which it is done. */
function operations(last = null) {
  const { row, form, field, added } = editor;
  const text = tidy(field.value);
  const speaker = form.querySelector("[data-speaker]").value;
  if (added) return [{ do: "insert", speaker, text, start_ms: Number(row.dataset.start), end_ms: Number(row.dataset.end) }];
  const at = Number(row.dataset.at);
  if (last?.do === "delete") return [last];
  const steps = [];
  if (speaker !== row.dataset.speaker) steps.push({ do: "speaker", at, speaker });
  if (text !== row.dataset.text || (!steps.length && !last)) steps.push({ do: "text", at, text });
  return last ? [...steps, last] : steps;
}

async function save(last = null, { onward = false } = {}) {
  if (!editor || editor.saving) return;
  const mine = editor;
  const steps = JSON.stringify(operations(last));
  if (steps !== mine.sent) [mine.sent, mine.key] = [steps, crypto.randomUUID()]; // the same again is one edit
  const at = mine.added ? null : Number(mine.row.dataset.at);
  mine.saving = true;
  mine.form.classList.add("saving");
  say("正在保存…");
  try {
    const { version } = await send("edits", { key: mine.key, operations: steps });
    close();
    await refresh();
    say(`已保存，第 ${version} 版`, "done");
    const row = rows()[at === null ? selected : at];
    select(row);
    if (onward && at !== null) openEditor(rows()[at + 1]);
    else row?.querySelector("[data-edit]")?.focus({ preventScroll: true });
  } catch (error) {
    mine.saving = false;
    mine.form.classList.remove("saving");
    say("没有保存", "lost");
    await tell(mine, error);
  }
}

/** Says in the editor why it was not saved; the text stays where it is. */
async function tell({ form }, error) {
  const box = form.querySelector("[data-conflict]");
  const message = document.createElement("p");
  message.textContent = error.message;
  box.replaceChildren(message);
  if (error.status === 401) {
    message.textContent = "登录已失效，文字还在：";
    const link = Object.assign(document.createElement("a"), { href: "/login", target: "_blank", textContent: "在新窗口登录" });
    message.append(link, "，然后再点保存。");
  } else if (error.status === 409 && error.version) {
    message.textContent = `转写已有新的版本（第 ${error.version} 版），改动如下。您的文字还在。`;
    const diff = await readDiff(error.version).catch(() => null);
    const button = Object.assign(document.createElement("button"), {
      type: "button", className: "button small", textContent: "在新版本上继续修改",
    });
    button.addEventListener("click", () => carryOn().catch((problem) => tell({ form }, problem)));
    box.append(...(diff ? [diff] : []), button);
  }
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

async function readDiff(version) {
  const address = `${ticket}/transcript/versions/${version}?against=${bar().dataset.version}`;
  const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "error" });
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-diff]");
}

/** Reads the new version and opens the sentence of that time again, with what was typed. */
async function carryOn() {
  const { field, row, added } = editor;
  const [text, start, end] = [field.value, Number(row.dataset.start), Number(row.dataset.end)];
  await refresh(); // where this fails the editor is as it was
  editor = null;
  say("");
  if (added) return insertAt(start, end, text);
  const near = (other) => Math.abs(Number(other.dataset.start) - start);
  return openEditor(rows().sort((one, two) => near(one) - near(two))[0], text);
}

function insertAt(start, end, text = "") {
  const row = document.createElement("li");
  row.className = "utterance added";
  Object.assign(row.dataset, { start, end, text: "", speaker: "caller" });
  const head = document.createElement("div");
  head.className = "utterance-head";
  head.append(Object.assign(document.createElement("span"), { textContent: "补一句" }));
  row.append(head);
  const next = rows().find((other) => Number(other.dataset.start) > start);
  if (next) next.before(row);
  else list().append(row);
  openEditor(row, text);
}

function insert() {
  const row = rows()[selected] ?? rows().at(-1);
  const length = Number(player().dataset.duration) || Number(rows().at(-1).dataset.end);
  const heard = player().audible ? player().positionMs : 0;
  const start = Math.min(Math.round(heard || Number(row.dataset.end)), length);
  insertAt(start, Math.min(start + NEW_SENTENCE_MS, length));
}

function split() {
  const { field, row } = editor;
  const before = field.value.slice(0, field.selectionStart).replace(/\s+/g, " ").trimStart();
  save({ do: "split", at: Number(row.dataset.at), offset: [...before].length }); // code points, as Python counts
}

function wireEditor() {
  const { form, field, row } = editor;
  const at = Number(row.dataset.at);
  const press = (name, handle) => form.querySelector(`[data-${name}]`).addEventListener("click", handle);
  const merge = () => save({ do: "merge", at });
  const replay = () => player().playFrom(Number(row.dataset.start), Number(row.dataset.end));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  field.addEventListener("input", grow);
  press("cancel", cancel);
  press("replay", replay);
  press("split", split);
  press("merge", merge);
  press("delete", () => save({ do: "delete", at }));
  form.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return; // Enter and Esc belong to the input method
    const key = `${event.altKey ? "Alt+" : ""}${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.code}`;
    const typed = event.target === field;
    const acts = { Escape: cancel, "Alt+KeyR": replay, "Alt+Enter": split, "Alt+KeyM": merge };
    if (typed) Object.assign(acts, { Enter: () => save(), NumpadEnter: () => save(), "Ctrl+Enter": () => save(null, { onward: true }) });
    const act = acts[key];
    if (!act || (editor?.added && ["Alt+Enter", "Alt+KeyM"].includes(key))) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}

// ---- The page ----

async function confirmAll(button) {
  if (editor && changed()) {
    toast("有一句话还没有保存");
    return;
  }
  button.disabled = true;
  try {
    await send("confirm", {});
    const { next } = bar().dataset;
    if (next) location.assign(next);
    else await refresh();
  } catch (error) {
    button.disabled = false;
    await explain(error);
  }
}

document.addEventListener("click", (event) => {
  const on = (name) => event.target.closest(`[data-${name}]`);
  const row = event.target.closest(".utterance[data-at]");
  if (on("edit")) openEditor(row);
  else if (on("confirm") && row) confirmRow(row, on("confirm").getAttribute("aria-pressed") !== "true");
  else if (on("confirm-all")) confirmAll(on("confirm-all"));
  else if (on("next-unsure")) goToUnsure({ play: true });
  else if (on("insert")) insert();
  else if (row && !editor) select(row);
});

document.addEventListener("dblclick", (event) => {
  const row = event.target.closest(".utterance-text")?.closest(".utterance[data-at]");
  if (row) openEditor(row);
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const acts = {
    e: () => openEditor(currentRow()),
    n: () => goToUnsure({ play: true }),
    c: () => {
      const row = currentRow();
      if (row) confirmRow(row, !row.classList.contains("confirmed"));
    },
  };
  const act = acts[event.key.toLowerCase()];
  if (!act || !list()) return;
  event.preventDefault();
  act();
});

addEventListener("beforeunload", (event) => {
  if (editor && changed()) event.preventDefault();
});

if (bar()?.dataset.queue) goToUnsure();
