/* Whether the server is there, and whether it is still the one that this page belongs to.
   Each request names the page's session. A server that was started again answers 409: the page then begins
   anew, with what it remembers if the points are the same, and with nothing of these if they are not. */
(function () {
  "use strict";

  const EVERY = 2000, PATIENCE = 6000; // ms
  const byId = (id) => document.getElementById(id);
  const version = () => byId("page") && byId("page").dataset.version;
  const plain = window.fetch.bind(window);
  let missed = false; // something that was asked for did not come

  window.fetch = async function (address, options) {
    const own = version();
    if (!own || typeof address !== "string" || new URL(address, location.href).origin !== location.origin)
      return plain(address, options);
    const headers = new Headers(options && options.headers);
    headers.set("X-Voxloom-Session", own);
    try {
      const answer = await plain(address, { ...options, headers });
      if (answer.status === 409) location.reload();
      return answer;
    } catch (error) {
      missed = missed || error instanceof TypeError; // not what was aborted by Dash itself
      if (missed) tell(true);
      throw error;
    }
  };

  function tell(isLost) {
    if (byId("lost")) byId("lost").hidden = !isLost;
  }

  async function look() {
    const own = version();
    if (!own || document.hidden) return;
    try {
      const answer = await plain("/version", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      const found = answer.ok ? await answer.text() : own;
      if (found !== own || missed) return location.reload();
      tell(false);
    } catch (error) {
      if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
      tell(true);
    }
  }

  async function watch() {
    await look();
    setTimeout(watch, EVERY);
  }

  setTimeout(watch, EVERY);
})();
