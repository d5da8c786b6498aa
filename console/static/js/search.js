// The search page: a changed filter searches at once.
document.querySelector("[data-filters]").addEventListener("change", (event) => {
  const form = event.currentTarget;
  if (event.target.matches("select, [type=date]") && form.elements.q.value.trim()) form.requestSubmit();
});
