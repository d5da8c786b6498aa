// <transcript-player>: the recording's waveform and its transcript, each of which seeks the other.
// The server renders everything; without this script the transcript still reads.
import { Waveform } from "./waveform.js";

const SKIP_S = 5;
const DRAG_PX = 4;
const READING_MS = 4000; // after the reader scrolled, the transcript does not scroll by itself for so long

const clockTime = (ms) => {
  const total = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const tail = `${String(seconds).padStart(2, "0")}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
};

/** Elements with their spans in milliseconds, ordered by start; finds those that hold a moment. */
class Spans {
  constructor(elements) {
    this.items = [...elements]
      .map((element) => ({ element, start: Number(element.dataset.start), end: Number(element.dataset.end) }))
      .sort((a, b) => a.start - b.start);
    let latest = -1;
    for (const item of this.items) {
      latest = Math.max(latest, item.end);
      item.latest = latest; // the latest end so far: nothing before an item with latest <= t can hold t
    }
  }

  at(ms) {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].start <= ms) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let index = low - 1; index >= 0 && this.items[index].latest > ms; index -= 1) {
      if (this.items[index].end > ms) found.push(this.items[index].element);
    }
    return found;
  }
}

class TranscriptPlayer extends HTMLElement {
  connectedCallback() {
    this.audio = this.querySelector("audio");
    this.transcript = this.querySelector("[data-transcript]");
    this.duration = Number(this.dataset.duration || 0);
    this.audible = Boolean(this.audio && this.duration);
    if (!this.audible) return;
    this.classList.add("with-audio");
    this.reread();
    this.span = null; // marked on the waveform: [from, to], fractions of the whole
    this.form = this.querySelector("[data-span]");
    this.readUntil = 0;
    this.leaving = new AbortController();
    this.wireAudio();
    this.wireControls();
    this.wireWave();
    this.wireSpan();
    this.wireKeyboard();
  }

  /** Takes in the transcript anew, after its rows were replaced. */
  reread() {
    if (!this.audible) return;
    this.words = new Spans(this.querySelectorAll(".word[data-start]"));
    this.utterances = new Spans(this.querySelectorAll(".utterance"));
    this.lit = new Set();
    if (this.waveform) this.show();
  }

  disconnectedCallback() {
    this.leaving?.abort();
    this.audio?.pause();
    this.sizes?.disconnect();
  }

  get positionMs() {
    return this.audio.currentTime * 1000;
  }

  /** Plays from a moment; `endMs` marks the span on the waveform. */
  playFrom(startMs, endMs = null) {
    if (endMs !== null) this.choose(startMs, endMs);
    else if (!this.form) this.span = null;
    this.seek(startMs);
    this.readUntil = 0;
    this.play();
  }

  seek(ms) {
    this.audio.currentTime = Math.min(Math.max(0, ms), this.duration) / 1000;
    this.show();
  }

  play() {
    this.audio.play().catch((error) => {
      if (error.name !== "AbortError") this.querySelector("[data-position]").textContent = "无法播放";
    });
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  on(target, names, handle, options = {}) {
    for (const name of names.split(" ")) {
      target.addEventListener(name, handle, { signal: this.leaving.signal, ...options });
    }
  }

  wireAudio() {
    this.audio.preservesPitch = true;
    this.on(this.audio, "play", () => {
      this.setPlaying(true);
      const frame = () => {
        this.show();
        if (!this.audio.paused) requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    });
    this.on(this.audio, "pause ended", () => this.setPlaying(false));
    this.on(this.audio, "seeked timeupdate", () => this.show());
  }

  setPlaying(playing) {
    this.classList.toggle("playing", playing);
    this.querySelector("[data-play]").setAttribute("aria-label", playing ? "暂停" : "播放");
    this.show();
  }

  wireControls() {
    this.on(this.querySelector("[data-play]"), "click", () => this.toggle());
    for (const button of this.querySelectorAll("[data-skip]")) {
      this.on(button, "click", () => this.seek(this.positionMs + Number(button.dataset.skip) * 1000));
    }
    const speed = this.querySelector("[data-speed]");
    this.on(speed, "change", () => (this.audio.playbackRate = Number(speed.value)));
    if (!this.transcript) return;
    this.on(this.transcript, "click", (event) => {
      const word = event.target.closest(".word[data-start]");
      if (word && getSelection().isCollapsed) this.playFrom(Number(word.dataset.start));
    });
    this.on(this.transcript, "wheel touchmove", () => (this.readUntil = performance.now() + READING_MS), { passive: true });
  }

  wireWave() {
    const wave = this.querySelector("[data-wave]");
    const tip = this.querySelector("[data-tip]");
    this.waveform = new Waveform(wave.querySelector("canvas"));
    this.sizes = new ResizeObserver(() => {
      this.waveform.resize();
      this.show();
    });
    this.sizes.observe(wave);
    this.on(matchMedia("(prefers-color-scheme: dark)"), "change", () => {
      this.waveform.recolour();
      this.show();
    });
    const moment = (event) => {
      const box = wave.getBoundingClientRect();
      return (Math.min(Math.max(0, event.clientX - box.left), box.width) / box.width) * this.duration;
    };
    let from = null;
    let dragged = false;
    this.on(wave, "pointerdown", (event) => {
      from = this.form && event.button === 0 ? event : null;
      dragged = false;
    });
    this.on(window, "pointerup pointercancel", () => (from = null));
    this.on(wave, "click", (event) => {
      if (!dragged) this.playFrom(moment(event));
      dragged = false;
    });
    this.on(wave, "pointermove", (event) => {
      if (from && (dragged || Math.abs(event.clientX - from.clientX) > DRAG_PX)) {
        if (!dragged) wave.setPointerCapture(event.pointerId);
        dragged = true;
        this.choose(...[moment(from), moment(event)].sort((a, b) => a - b));
      }
      tip.hidden = false;
      tip.textContent = clockTime(moment(event));
      const x = event.clientX - wave.getBoundingClientRect().left;
      tip.style.left = `${Math.min(Math.max(2, x + 8), wave.clientWidth - tip.offsetWidth - 2)}px`;
    });
    this.on(wave, "pointerleave", () => (tip.hidden = true));
    this.wave = wave;
    this.loadPeaks();
  }

  async loadPeaks() {
    const answer = await fetch(this.dataset.peaks).catch(() => null);
    if (!answer?.ok) return; // a recording without a waveform still plays
    const { rate, channels } = await answer.json();
    const peaksMs = (Math.max(...channels.map((line) => line.length)) / 2 / rate) * 1000;
    this.waveform.load(channels, Math.min(1, peaksMs / this.duration));
    this.show();
  }

  wireSpan() {
    this.chosen = [0, this.duration];
    for (const button of this.querySelectorAll("[data-span-set]")) {
      this.on(button, "click", () => {
        const [start, end] = this.chosen;
        const now = this.positionMs;
        if (button.dataset.spanSet === "start") this.choose(now, end > now ? end : this.duration);
        else this.choose(start < now ? start : 0, now);
      });
    }
  }

  /** Marks a span, which is also what the form exports where there is one. */
  choose(startMs, endMs) {
    this.span = [startMs / this.duration, Math.min(1, endMs / this.duration)];
    if (this.form) {
      this.chosen = [Math.round(startMs), Math.round(endMs)];
      [this.form.elements.start_ms.value, this.form.elements.end_ms.value] = this.chosen;
      this.form.querySelector("[data-span-start]").textContent = clockTime(startMs);
      this.form.querySelector("[data-span-end]").textContent = clockTime(endMs);
      this.form.querySelector("[data-span-export]").disabled = this.chosen[1] <= this.chosen[0];
    }
    this.show();
  }

  wireKeyboard() {
    const speed = this.querySelector("[data-speed]");
    const faster = (step) => {
      speed.selectedIndex = Math.min(Math.max(0, speed.selectedIndex + step), speed.options.length - 1);
      this.audio.playbackRate = Number(speed.value);
    };
    const keys = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.positionMs - SKIP_S * 1000),
      ArrowRight: () => this.seek(this.positionMs + SKIP_S * 1000),
      ",": () => faster(-1),
      ".": () => faster(1),
    };
    this.on(document, "keydown", (event) => {
      const act = keys[event.key];
      const control = event.target.closest("input, select, textarea, dialog, [contenteditable]");
      const pressed = event.key === " " && event.target.closest("button, a, summary");
      if (!act || control || pressed || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }

  /** Brings everything on the page to the audio's position. */
  show() {
    const ms = this.positionMs;
    this.waveform.draw(ms / this.duration, this.span);
    this.querySelector("[data-position]").textContent = clockTime(ms);
    this.wave.setAttribute("aria-valuenow", String(Math.floor(ms / 1000)));
    this.wave.setAttribute("aria-valuetext", clockTime(ms));
    const begun = ms > 0 || !this.audio.paused;
    const words = begun ? this.words.at(ms) : [];
    const current = new Set(begun ? [...words, ...this.utterances.at(ms)] : []);
    for (const element of this.lit) if (!current.has(element)) element.classList.remove("current");
    const fresh = [...current].filter((element) => !this.lit.has(element));
    for (const element of fresh) element.classList.add("current");
    this.lit = current;
    if (fresh.length) this.scrollTo(words[0] ?? fresh[0]);
  }

  scrollTo(element) {
    if (performance.now() < this.readUntil) return;
    const view = this.transcript.getBoundingClientRect();
    const box = element.getBoundingClientRect();
    if (box.top < view.top + 24 || box.bottom > view.bottom - 48) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const top = this.transcript.scrollTop + box.top - view.top - view.height / 3;
      this.transcript.scrollTo({ top, behavior: calm ? "auto" : "smooth" });
    }
  }
}

customElements.define("transcript-player", TranscriptPlayer);
