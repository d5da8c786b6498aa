// Follows the server's events. A hidden tab lets its connection go; whenever a stream opens the page re-reads, so a
// lost event heals. Handlers that throw do not stop the others.

const RETRY_MS = 5000;
const TEXT = { live: "实时更新中", lost: "连接中断，正在重试", out: "登录已失效，请刷新页面" };

/** handlers: event name -> function of its data. onOpen: called at each opening; events wait until it is done. */
export function follow(topics, handlers, onOpen) {
  const query = topics.map((topic) => `topics=${encodeURIComponent(topic)}`).join("&");
  let source = null;
  let retry = 0;

  function show(state) {
    for (const element of document.querySelectorAll("[data-live-status]")) {
      element.dataset.state = state;
      element.textContent = TEXT[state];
    }
  }

  function open() {
    close();
    const opened = new EventSource(`/events?${query}`);
    source = opened;
    let ready = Promise.resolve();
    opened.addEventListener("open", () => {
      ready = Promise.resolve(onOpen()).then(() => show("live"), () => show("lost"));
    });
    opened.addEventListener("error", () => {
      show("lost");
      if (opened.readyState === EventSource.CLOSED && source === opened) refused();
    });
    for (const [name, handle] of Object.entries(handlers)) {
      opened.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        ready = ready.then(() => handle(data)).catch((error) => console.error(error));
      });
    }
  }

  // The server answered, but not with a stream: signed out, or too many pages.
  async function refused() {
    const answer = await fetch("/live/calls", { redirect: "manual" }).catch(() => null);
    if (answer && answer.status === 401) {
      show("out");
      return;
    }
    if (!document.hidden) retry = setTimeout(open, RETRY_MS);
  }

  function close() {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  if (!document.hidden) open();
}
