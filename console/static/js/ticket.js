// The ticket page: evidence chips and times of day in the page seek the player.
import "./dialogs.js";
import "./fillers.js";
import "./transcript-player.js";

document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-seek]");
  const player = document.querySelector("transcript-player");
  if (!chip || !player?.audible) return;
  const end = chip.dataset.seekEnd;
  player.playFrom(Number(chip.dataset.seek), end === undefined ? null : Number(end));
  if (!player.contains(chip)) player.scrollIntoView({ block: "nearest" });
});

/** Goes to the second that a link names (#t=12.3) and shows what was said there; plays nothing unasked. */
function goToLinkedMoment() {
  const named = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
  const player = document.querySelector("transcript-player");
  if (!named || !player) return;
  const ms = Number(named[1]) * 1000;
  const spoken = [...player.querySelectorAll(".utterance")];
  const linked = spoken.filter((item) => Number(item.dataset.start) <= ms + 1).at(-1) ?? spoken[0];
  for (const item of spoken) item.classList.toggle("linked", item === linked);
  linked?.scrollIntoView({ block: "center" });
  if (player.audible) player.seek(ms);
}
addEventListener("hashchange", goToLinkedMoment);
goToLinkedMoment();
