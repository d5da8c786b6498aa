// Several files go one after another, with their progress; without this script the form sends one.
const form = document.querySelector("form[data-upload]");

function send(file) {
  return new Promise((resolve) => {
    const body = new FormData(form);
    body.delete("file");
    body.append("file", file, file.name);
    const request = new XMLHttpRequest();
    const bar = form.querySelector("progress");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
    });
    request.addEventListener("load", () => {
      let said = {};
      try {
        said = JSON.parse(request.responseText);
      } catch {}
      const failed = request.status < 200 || request.status > 299;
      resolve(failed ? [said.error ?? "上传没有成功", said.hint].filter(Boolean).join("。") : "");
    });
    request.addEventListener("error", () => resolve("网络不通，请稍后再试"));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
  });
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button[type=submit]");
  const place = form.querySelector("[data-problem]");
  const bar = form.querySelector("progress");
  if (button.disabled) return;
  button.disabled = true;
  bar.hidden = false;
  const problems = [];
  for (const file of form.querySelector("input[type=file]").files) {
    bar.value = 0;
    const problem = await send(file);
    if (problem) problems.push(`${file.name}：${problem}`);
  }
  bar.hidden = true;
  button.disabled = false;
  if (!problems.length) location.reload();
  place.textContent = problems.join("\n");
  place.hidden = !problems.length;
});
