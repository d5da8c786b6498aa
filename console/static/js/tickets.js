// The list re-reads itself when a ticket is created; on a later page it only says so.
import { follow } from "./events.js";
import { toast } from "./toasts.js";

const GATHER_MS = 300;
const LOOK_MS = 3000;
const list = () => document.querySelector("[data-ticket-list]");
let waiting = 0;
let looking = 0;

async function refresh() {
  if (list().dataset.firstPage !== "yes") return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-ticket-list]");
  if (!fresh || fresh.isEqualNode(list())) return;
  const known = new Set([...list().querySelectorAll("[data-number]")].map((row) => row.dataset.number));
  const focused = document.activeElement?.closest?.("[data-number]")?.dataset.number;
  list().replaceWith(fresh);
  for (const row of fresh.querySelectorAll("[data-number]")) {
    row.classList.toggle("fresh", !known.has(row.dataset.number));
    if (row.dataset.number === focused) row.querySelector("a").focus({ preventScroll: true });
  }
}

// Of a ticket that is not for everybody there is no number.
function created({ number }) {
  if (list().dataset.firstPage !== "yes") {
    if (number) toast(`新工单 ${number}`, `/tickets/${encodeURIComponent(number)}`);
    return;
  }
  clearTimeout(waiting);
  waiting = setTimeout(() => refresh().catch((error) => console.warn(error)), GATHER_MS);
}

// What a unit's people hear of: any ticket's change, so that it is looked at seldom.
function changed() {
  looking ||= setTimeout(() => {
    looking = 0;
    refresh().catch((error) => console.warn(error));
  }, LOOK_MS);
}

document.querySelector("[data-filters]").addEventListener("change", (event) => {
  if (event.target.matches("select")) event.currentTarget.requestSubmit();
});
follow(["ticket"], { "ticket.created": created, "ticket.changed": changed }, refresh);
