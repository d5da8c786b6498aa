// Commands are sent without leaving the page, so that a refusal loses nothing that was typed.
const OFFLINE = "网络不通，内容还在，请稍后再试";

function tell(form, text) {
  const place = form.querySelector("[data-problem]");
  place.textContent = text;
  place.hidden = !text;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-command]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button[type=submit]");
  if (button.disabled) return;
  button.disabled = true;
  tell(form, "");
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" }, redirect: "error" });
    if (answer.ok) {
      location.reload();
      return;
    }
    const problem = await answer.json().catch(() => ({}));
    const signedOut = answer.status === 401 ? "登录已失效。请在新窗口登录，再回到这里提交" : "";
    tell(form, signedOut || [problem.error ?? "没有成功，请稍后再试", problem.hint].filter(Boolean).join("。"));
  } catch {
    tell(form, OFFLINE);
  }
  button.disabled = false;
});
