// The page for phones on the spot. Nothing typed or photographed is lost on a bad network: see outbox.js.
import { Outbox } from "./outbox.js";

const main = document.querySelector("main[data-base]");
const base = main.dataset.base;
const outbox = new Outbox(base, main.dataset.csrf);
const previews = new Map();
const LOCATE_MS = 10_000;

function draftKey(form, name) {
  return `draft:${base}:${form.dataset.send}:${name}`;
}

function store(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {} // a private window
}

function restoreDrafts() {
  for (const form of main.querySelectorAll("form[data-draft]")) {
    for (const field of form.querySelectorAll("textarea, input:not([type=hidden])")) {
      let kept = null;
      try {
        kept = localStorage.getItem(draftKey(form, field.name));
      } catch {}
      if (kept !== null) field.value = kept;
    }
  }
}

main.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-draft]");
  if (form) store(draftKey(form, event.target.name), event.target.value);
});

function position() {
  return new Promise((resolve) => {
    if (!navigator.geolocation) return resolve(null);
    const late = setTimeout(() => resolve(null), LOCATE_MS);
    const answer = (found) => {
      clearTimeout(late);
      resolve(found);
    };
    const options = { enableHighAccuracy: true, timeout: LOCATE_MS, maximumAge: 60_000 };
    navigator.geolocation.getCurrentPosition((found) => answer(found.coords), () => answer(null), options);
  });
}

main.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-send]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter;
  if (button.disabled) return;
  const needed = button.dataset.needs && form.elements[button.dataset.needs];
  if (needed && !needed.value.trim()) {
    say("请先填写办理结果", "danger");
    needed.focus();
    return;
  }
  const fields = [...new FormData(form, button)].filter(([name]) => name !== "csrf"); // a disabled button says nothing
  button.disabled = true;
  if (form.hasAttribute("data-locate")) {
    say("正在取手机的位置…");
    const coords = await position();
    if (coords) fields.push(["latitude", String(coords.latitude)], ["longitude", String(coords.longitude)]);
  }
  const drafts = form.hasAttribute("data-draft") ? fields.map(([name, value]) => [draftKey(form, name), value]) : [];
  const url = button.getAttribute("formaction") ?? form.getAttribute("action");
  await outbox.add({ url, label: button.dataset.label ?? form.dataset.send, fields, drafts });
  button.disabled = false;
});

main.addEventListener("change", async (event) => {
  const input = event.target.closest("input[data-files]");
  if (!input) return;
  const files = [...input.files];
  input.value = "";
  const purpose = main.querySelector("input[name=purpose]:checked").value;
  for (const file of files) {
    if (file.size > Number(main.dataset.maxBytes)) {
      say(`${file.name} 太大，最多 ${Math.floor(Number(main.dataset.maxBytes) / 1048576)} MB`, "danger");
      continue;
    }
    // A copy: what a camera lends to a page may be gone before the network is back.
    const copy = new Blob([await file.arrayBuffer()], { type: file.type });
    await outbox.add({ url: `${base}/files`, label: file.name, fields: [["purpose", purpose]], file: copy, name: file.name });
  }
});

main.addEventListener("click", async (event) => {
  const call = event.target.closest("[data-call]");
  if (call) {
    const body = new URLSearchParams({ csrf: outbox.csrf });
    try {
      const answer = await fetch(`${base}/call`, { method: "POST", body, headers: { Accept: "application/json" } });
      const said = await answer.json();
      if (answer.ok) location.href = `tel:${said.phone.replace(/[^0-9+]/g, "")}`;
      else say(said.error, "danger");
    } catch {
      say("网络不通，暂时取不到号码", "danger");
    }
  }
  const act = event.target.closest("[data-item]");
  const item = act && outbox.items.find((each) => each.key === act.dataset.item);
  if (item) await (act.dataset.act === "drop" ? outbox.drop(item) : outbox.again(item));
});

function element(name, text, options = {}) {
  const made = Object.assign(document.createElement(name), options);
  if (text) made.textContent = text;
  return made;
}

function row(item) {
  const line = element("li");
  line.dataset.key = item.key;
  if (item.file?.type.startsWith("image/")) {
    if (!previews.has(item.key)) previews.set(item.key, URL.createObjectURL(item.file));
    line.append(element("img", "", { src: previews.get(item.key), alt: "" }));
  }
  line.append(element("span", item.label, { className: "what" }));
  if (item.problem) {
    line.append(element("span", item.problem, { className: "problem" }));
    for (const [act, text] of [["again", "再试"], ["drop", "删除"]]) {
      const button = element("button", text, { type: "button", className: "button small" });
      Object.assign(button.dataset, { item: item.key, act });
      line.append(button);
    }
  } else if (item.file) line.append(element("progress", "", { max: 100, value: 0 }));
  return line;
}

function say(text, tone = "") {
  const foot = document.querySelector("[data-status]");
  foot.textContent = text;
  foot.dataset.tone = tone;
  foot.hidden = !text;
}

outbox.addEventListener("change", () => {
  document.querySelector("[data-outbox]")?.replaceChildren(...outbox.items.map(row));
  const refused = outbox.items.filter((item) => item.problem);
  const waiting = outbox.items.length - refused.length;
  if (outbox.state === "signed-out") say("登录已失效，内容已保存在手机里。请重新登录后回到本页", "danger");
  else if (outbox.state === "waiting") say(`网络不通，${waiting} 项已保存在手机里，恢复后自动发送`, "attention");
  else if (waiting) say(`正在发送 ${waiting} 项…`);
  else if (refused.length) say(`${refused[0].label}：${refused[0].problem}`, "danger");
});

outbox.addEventListener("progress", ({ detail }) => {
  const bar = document.querySelector(`[data-outbox] li[data-key="${detail.key}"] progress`);
  if (bar) bar.value = detail.percent;
});

outbox.addEventListener("sent", async ({ detail: item }) => {
  URL.revokeObjectURL(previews.get(item.key));
  previews.delete(item.key);
  for (const [key, value] of item.drafts ?? []) {
    try {
      if (localStorage.getItem(key) === value) store(key, ""); // unless more was typed meanwhile
    } catch {}
  }
  if (outbox.items.every((each) => each.problem)) {
    say(`${item.label}：已发送`);
    await refresh();
  }
});

/** Shows what the server has now; what is being typed stays. */
async function refresh() {
  try {
    const answer = await fetch(base, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (page.querySelector("main[data-csrf]")) outbox.csrf = page.querySelector("main").dataset.csrf;
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
      if (fresh) part.replaceChildren(...fresh.childNodes);
    }
    const changed = !page.querySelector("form[data-draft]") !== !main.querySelector("form[data-draft]");
    const submits = !page.querySelector("[data-needs]") !== !main.querySelector("[data-needs]");
    if ((changed || submits) && !outbox.items.length) location.reload();
  } catch {} // offline: the next success tells
}

restoreDrafts();
outbox.start();
