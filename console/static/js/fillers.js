// The switch that hides fillers in the transcript and its exports; each browser remembers it.
const KEY = "hide-fillers";
const boxes = () => document.querySelectorAll("[data-hide-fillers]");

function remembered() {
  try {
    return localStorage.getItem(KEY) === "yes";
  } catch {
    return false; // a browser that keeps nothing
  }
}

function remember(hide) {
  try {
    localStorage.setItem(KEY, hide ? "yes" : "no");
  } catch {
    // it holds for this page
  }
}

function show(hide) {
  document.documentElement.classList.toggle("hide-fillers", hide);
  for (const box of boxes()) box.checked = hide;
  for (const link of document.querySelectorAll("a[data-export]")) {
    const address = new URL(link.href);
    if (hide) address.searchParams.set("fillers", "hide");
    else address.searchParams.delete("fillers");
    link.href = address.href;
  }
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-hide-fillers]")) return;
  remember(event.target.checked);
  show(event.target.checked);
});
show(remembered());
