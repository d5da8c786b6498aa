// Draws peaks on a canvas: one lane a channel, what was played in full colour. Pure of the player's state.

const BAR_PX = 2;
const GAP_PX = 1;
const MIN_SCALE = 24; // of 128: silence stays flat instead of being blown up

/** The lowest and highest value of each of `bars` equal stretches; peaks are min, max, min, max, ... */
export function gather(peaks, bars) {
  const pairs = peaks.length / 2;
  return Array.from({ length: bars }, (_, bar) => {
    const first = Math.floor((bar * pairs) / bars);
    const last = Math.max(first + 1, Math.floor(((bar + 1) * pairs) / bars));
    let low = 0;
    let high = 0;
    for (let pair = first; pair < last && pair < pairs; pair += 1) {
      low = Math.min(low, peaks[2 * pair]);
      high = Math.max(high, peaks[2 * pair + 1]);
    }
    return [low, high];
  });
}

export class Waveform {
  constructor(canvas) {
    this.canvas = canvas;
    this.channels = [];
    this.lanes = [];
  }

  /** channels: arrays of peaks that together last `share` (0-1] of the canvas's time. */
  load(channels, share) {
    this.channels = channels;
    this.share = share;
    this.scales = channels.map((line) => line.reduce((most, value) => Math.max(most, Math.abs(value)), MIN_SCALE));
    this.resize();
  }

  resize() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    const bars = Math.max(1, Math.floor((this.width * (this.share ?? 1)) / (BAR_PX + GAP_PX)));
    this.lanes = this.channels.map((line) => gather(line, bars));
    this.recolour();
  }

  recolour() {
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colours = [
      [colour("--caller"), colour("--caller-soft")],
      [colour("--hotline"), colour("--hotline-soft")],
    ];
    this.ink = colour("--ink");
    this.line = colour("--line");
    this.mark = colour("--mark");
  }

  /** played, span: fractions of the whole; span is [from, to] or null. */
  draw(played, span) {
    const context = this.canvas.getContext("2d");
    const { width, height } = this;
    context.clearRect(0, 0, width, height);
    if (span) {
      context.globalAlpha = 0.45;
      context.fillStyle = this.mark;
      context.fillRect(span[0] * width, 0, Math.max(2, (span[1] - span[0]) * width), height);
      context.globalAlpha = 1;
    }
    const lane = height / Math.max(1, this.lanes.length);
    this.lanes.forEach((bars, channel) => {
      const middle = lane * (channel + 0.5);
      const reach = (lane / 2 - 4) / this.scales[channel];
      const [full, soft] = this.colours[channel % this.colours.length];
      context.fillStyle = this.line;
      context.fillRect(0, middle - 0.5, width, 1);
      bars.forEach(([low, high], bar) => {
        const x = bar * (BAR_PX + GAP_PX);
        context.fillStyle = x / width < played ? full : soft;
        const up = Math.max(0.5, high * reach);
        const down = Math.max(0.5, -low * reach);
        context.fillRect(x, middle - up, BAR_PX, up + down);
      });
    });
    context.fillStyle = this.ink;
    context.fillRect(Math.min(width - 1.5, played * width), 0, 1.5, height);
  }
}
