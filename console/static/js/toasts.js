// Short messages in the corner, read out by screen readers.
const STAY_MS = 8000;

export function toast(text, href = "") {
  const element = document.createElement("div");
  element.className = "toast";
  element.append(text);
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = "查看";
    element.append(link);
  }
  document.querySelector("[data-toasts]").append(element);
  setTimeout(() => element.remove(), STAY_MS);
}
