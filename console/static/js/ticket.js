// The ticket page: evidence chips and times of day in the page seek the player.
import "./dialogs.js";
import "./transcript-player.js";

document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-seek]");
  const player = document.querySelector("transcript-player");
  if (!chip || !player?.audible) return;
  const end = chip.dataset.seekEnd;
  player.playFrom(Number(chip.dataset.seek), end === undefined ? null : Number(end));
  if (!player.contains(chip)) player.scrollIntoView({ block: "nearest" });
});
