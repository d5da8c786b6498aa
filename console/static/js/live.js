// Calls in progress: cards with scrolling captions of both sides. State comes from /live/calls, changes from events.
import { follow } from "./events.js";

const ENDED_STAYS_MS = 60_000;
const AT_BOTTOM_PX = 48;
const SPEAKERS = { caller: "来电人", hotline: "热线", seat: "座席" };
const board = document.querySelector("[data-calls]");
const cards = new Map();

const clockTime = (ms) => {
  const total = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(total / 60)}:${String(total % 60).padStart(2, "0")}`;
};
const copy = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

class CallCard {
  constructor(call) {
    this.element = copy("call-template");
    this.part = (name) => this.element.querySelector(`[data-${name}]`);
    this.captions = this.part("captions");
    this.answeredAt = Date.parse(call.answered_at);
    this.finals = new Map(); // "speaker start" -> element: a final that arrives twice is shown once
    this.partials = new Map(); // speaker -> element
    this.part("caller").textContent = call.caller || "号码未知";
    this.tick();
    board.append(this.element);
  }

  tick() {
    if (!this.ended) this.part("duration").textContent = clockTime(Date.now() - this.answeredAt);
  }

  caption({ speaker, text, start_ms: start }, final) {
    const key = `${speaker} ${start}`;
    if (!text || this.finals.has(key)) return;
    const following = this.isAtBottom();
    const element = this.partials.get(speaker) ?? copy("caption-template");
    element.classList.toggle("ours", speaker !== "caller");
    element.classList.toggle("partial", !final);
    element.dataset.start = start;
    element.querySelector(".caption-meta").textContent = `${SPEAKERS[speaker] ?? speaker} ${clockTime(start)}`;
    element.querySelector(".caption-text").textContent = text;
    if (final) {
      this.finals.set(key, element);
      this.partials.delete(speaker);
    } else {
      this.partials.set(speaker, element);
    }
    this.part("none")?.remove();
    this.place(element, start);
    if (following) this.captions.scrollTop = this.captions.scrollHeight;
  }

  behind(seconds) {
    const badge = this.part("behind");
    badge.hidden = !seconds || this.ended;
    badge.textContent = seconds ? `字幕延迟 ${seconds} 秒` : "";
  }

  // In the order of speech, whichever side's recognition ends first.
  place(element, start) {
    const later = [...this.captions.children].find((other) => other !== element && Number(other.dataset.start) > start);
    if (element.nextElementSibling !== (later ?? null) || !element.isConnected) {
      this.captions.insertBefore(element, later ?? null);
    }
  }

  isAtBottom() {
    const { scrollTop, clientHeight, scrollHeight } = this.captions;
    return scrollTop + clientHeight >= scrollHeight - AT_BOTTOM_PX;
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    this.element.classList.add("ended");
    this.behind(0);
    const state = this.part("state");
    state.textContent = "已结束";
    state.classList.replace("active", "done");
    for (const element of this.partials.values()) element.remove();
    this.partials.clear();
    const none = this.part("none");
    if (none) none.textContent = "没有字幕";
  }

  ticket(number) {
    const link = document.createElement("a");
    link.href = `/tickets/${encodeURIComponent(number)}`;
    link.className = "button small";
    link.textContent = `工单 ${number}`;
    this.part("state")?.replaceWith(link);
  }
}

function answered(call) {
  if (!cards.has(call.call_id)) cards.set(call.call_id, new CallCard(call));
  count();
  return cards.get(call.call_id);
}

function ended({ call_id: id }) {
  const card = cards.get(id);
  if (!card || card.ended) return;
  card.end();
  setTimeout(() => {
    card.element.remove();
    if (cards.get(id) === card) cards.delete(id);
    count();
  }, ENDED_STAYS_MS);
  count();
}

function count() {
  const running = [...cards.values()].filter((card) => !card.ended).length;
  document.querySelector("[data-count]").textContent = running ? `${running} 通` : "";
  document.querySelector("[data-no-calls]").hidden = cards.size > 0;
}

async function reread() {
  const answer = await fetch("/live/calls", { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const { calls } = await answer.json();
  const running = new Set(calls.map((call) => call.call_id));
  for (const call of calls) {
    const card = answered(call);
    for (const caption of call.captions) card.caption(caption, true);
    card.behind(call.behind_s);
  }
  for (const id of cards.keys()) if (!running.has(id)) ended({ call_id: id });
  count();
}

follow(
  ["call", "caption", "ticket"],
  {
    "call.answered": answered,
    "call.ended": ended,
    "caption.partial": (caption) => cards.get(caption.call_id)?.caption(caption, false),
    "caption.final": (caption) => cards.get(caption.call_id)?.caption(caption, true),
    "caption.behind": ({ call_id: id, seconds }) => cards.get(id)?.behind(seconds),
    "ticket.created": ({ call_id: id, number }) => {
      if (!id) return; // of one that is not for everybody
      ended({ call_id: id });
      cards.get(id)?.ticket(number);
    },
  },
  reread,
);
setInterval(() => cards.forEach((card) => card.tick()), 1000);
