/* What the page does by itself: remember, follow light and dark, tooltip, search, large pictures.
   Dash asks the functions of dash_clientside.voxloom; all else listens. */
(function () {
  "use strict";

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const byId = (id) => document.getElementById(id);
  const set = (id, props) => window.dash_clientside.set_props(id, props);
  const theme = () => (dark.matches ? "dark" : "light");
  const MOST_KEPT = 20000; // rows of a selection that are remembered
  const MOST_FOUND = 40;
  let keys = null;
  let groups = []; // of several: name, and the row after its last one
  const groupOf = (row) => (groups.find(([, end]) => row < end) || [""])[0];

  /* A tab's own memory comes first, so that two tabs stay apart; a new tab begins where the last one was.
     The name holds the data's digest: another store on the same port finds nothing of this one. */
  const slot = (digest, what) => `voxloom-explorer-1-${what ? what + "-" : ""}${digest}`;

  function recall(digest, what) {
    for (const kept of [window.sessionStorage, window.localStorage]) {
      try {
        const told = JSON.parse(kept.getItem(slot(digest, what)));
        if (told && typeof told === "object") return told;
      } catch (error) {
        if (!(error instanceof SyntaxError) && !(error instanceof DOMException)) throw error;
      }
    }
    return {};
  }

  function keep(digest, state, what) {
    const text = JSON.stringify(state);
    for (const kept of [window.sessionStorage, window.localStorage]) {
      try {
        kept.setItem(slot(digest, what), text);
      } catch (error) {
        if (!(error instanceof DOMException)) throw error; // storage is full or forbidden: nothing is remembered
      }
    }
  }

  const page = {
    start(_, digest) {
      dark.addEventListener("change", () => set("theme", { data: theme() }));
      page.digest = digest;
      showNotices();
      window.voxloomPlot.restore(recall(digest, "view"));
      page.made = recall(digest, "made");
      fetch("/keys.json").then((answer) => answer.json()).then((found) => ({ keys, groups } = found));
      const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (n) => n.toString(16).padStart(2, "0")).join("");
      return [recall(digest), theme(), id];
    },
    remember(wanted, colour, filters, picked, lasso, digest) {
      if (!wanted) return window.dash_clientside.no_update;
      const few = lasso && lasso.length <= MOST_KEPT ? lasso : [];
      keep(digest, { ...wanted, colour, filters, picked, lasso: few });
      return Date.now();
    },
    async draw(figure) {
      if (!figure) return window.dash_clientside.no_update;
      await window.voxloomPlot.draw(figure);
      return figure.layout.meta.key + Date.now();
    },
    async mark(picked) {
      await window.voxloomPlot.mark(picked);
      makeAgain(picked);
      return Date.now();
    },
    async highlight(rows) {
      await window.voxloomPlot.highlight(rows);
      return Date.now();
    },
    /* A job was asked for, or told how far it is: what was said of one before it is passed over. */
    settle(asked, polled) {
      const none = window.dash_clientside.no_update;
      const told = polled && asked && polled.number === asked.number ? polled : asked;
      if (!told) return [none, none];
      showProgress(told);
      const over = ["ready", "cancelled", "failed"].includes(told.state);
      return [told.state === "ready" ? told : none, over];
    },
    told: (dragged, value) => written(latest() === "drag_value" ? dragged : value),
    ends(dragged, value) {
      const ends = (latest() === "drag_value" ? dragged : value) || [];
      return ends.map(written).join(" to ");
    },
    fade(text) {
      clearTimeout(page.fading);
      if (text) page.fading = setTimeout(() => (byId("problem").hidden = true), 12000);
      return "";
    },
    step(place, line) {
      if (line && line.length && page.line !== line) page.toShow = "#line-box";
      page.line = line;
      for (const button of byId("strip").children) button.classList.toggle("here", button.dataset.step === String(place));
      return (line && line[place]) || "";
    },
    tabs: (tab) => [tab !== "points", tab !== "selection"],
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside, { voxloom: page });

  const written = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : "");
  const latest = () => {
    const triggered = window.dash_clientside.callback_context.triggered;
    return triggered.length === 1 ? triggered[0].prop_id.split(".").pop() : "value";
  };

  const methodName = () => {
    const chosen = document.querySelector("#method input:checked");
    return chosen ? chosen.closest("label").textContent : "the other";
  };

  function showProgress(told) {
    const isTask = "row" in told;
    const box = byId(isTask ? "task-progress" : "job-progress");
    const goesOn = told.state === "waiting" || told.state === "running";
    const percent = Math.round(100 * told.progress);
    box.hidden = told.state === "ready";
    if (!isTask) byId("status").dataset.next = goesOn && window.voxloomPlot.figure ? ` · ${methodName()} follows when it is placed` : "";
    box.dataset.state = told.state;
    const bar = box.querySelector(".bar");
    bar.hidden = !goesOn;
    bar.firstChild.style.width = `${percent}%`;
    bar.setAttribute("aria-valuenow", percent);
    box.querySelector("button").hidden = !goesOn;
    const words = { cancelled: isTask ? "Cancelled." : "Cancelled. The picture is the one from before.", failed: told.message };
    const text = box.querySelector("span");
    text.textContent = goesOn ? `${told.message || "computing"}${percent ? ` · ${percent} %` : " …"}` : words[told.state] || "";
    text.className = told.state === "failed" ? "bad" : "faint";
    if (!isTask) byId("again").hidden = !["cancelled", "failed"].includes(told.state);
  }

  /* A line or a translation that was on the page before it was opened again: the server still has it. */
  function makeAgain(picked) {
    const { what, rows, version } = page.made || {};
    if (!what || !picked || !picked.length) return;
    page.made = null;
    if (version === byId("page").dataset.version && JSON.stringify(rows) === JSON.stringify(picked)) set(what, { n_clicks: 1 });
  }

  function keepMade(what) {
    const told = what ? { what, rows: window.voxloomPlot.picked, version: byId("page").dataset.version } : {};
    keep(page.digest, told, "made");
  }

  /* What was just made is brought into sight once it has a size. */
  document.addEventListener("load", (event) => {
    const box = event.target.closest && event.target.closest(page.toShow || "#translated");
    if (!box || (!page.toShow && box.dataset.seen === event.target.src)) return;
    page.toShow = null;
    if (box.id === "translated") box.dataset.seen = event.target.src;
    box.scrollIntoView({ block: "nearest" });
  }, true);

  /* What the reader should know, until it was closed once. */
  function showNotices() {
    const box = byId("notices");
    if (box) box.hidden = recall(page.digest, "told").text === box.firstChild.textContent;
  }

  function closeNotices() {
    keep(page.digest, { text: byId("notices").firstChild.textContent }, "told");
    byId("notices").hidden = true;
  }

  /* Tooltip: the thumbnail is all that is asked for. */
  window.voxloomPage = {
    keepView: (view) => page.digest && keep(page.digest, view, "view"),
    tip(row, event, point) {
      const tip = byId("tip");
      if (row === null || row === undefined) return (tip.hidden = true);
      const trace = window.voxloomPlot.figure.data[point.curveNumber];
      const value = trace.meta.colours ? Number(trace.marker.color[point.pointNumber].toPrecision(5)) : trace.name;
      const field = window.voxloomPlot.figure.layout.meta.field;
      tip.replaceChildren(picture(row), line(keys ? keys[row] : "", "key"), line(`${field}: ${value}`, "faint"));
      if (window.voxloomPlot.figure.layout.meta.groups.length) tip.append(line(trace.meta.group, "faint group"));
      tip.hidden = false;
      tip.dataset.row = String(row);
      place(tip, event);
    },
  };

  function picture(row) {
    const image = document.createElement("img");
    image.src = `/thumb/${row}?v=${byId("page").dataset.version}`;
    image.alt = "";
    image.width = image.height = 96;
    return image;
  }

  function line(text, kind) {
    const made = document.createElement("span");
    made.className = kind;
    made.textContent = text;
    return made;
  }

  function place(tip, event) {
    const box = tip.getBoundingClientRect();
    const right = event.clientX + 18 + box.width > window.innerWidth;
    const low = event.clientY + 18 + box.height > window.innerHeight;
    tip.style.left = `${right ? event.clientX - box.width - 14 : event.clientX + 18}px`;
    tip.style.top = `${low ? event.clientY - box.height - 14 : event.clientY + 18}px`;
  }

  /* Search by key. */
  function search(text) {
    const list = byId("find-list");
    const wanted = text.trim().toLowerCase();
    const rows = [];
    for (let row = 0; keys && wanted && row < keys.length && rows.length < MOST_FOUND; row++)
      if (keys[row].toLowerCase().includes(wanted)) rows.push(row);
    list.replaceChildren(...rows.map(found));
    if (wanted && !rows.length) list.append(line("no key has this in it", "faint"));
    list.hidden = !wanted;
  }

  function found(row) {
    const item = document.createElement("li");
    item.role = "option";
    item.innerHTML = `<button type="button" data-row="${row}"></button>`;
    item.firstChild.append(line(keys[row], "key"), line(groupOf(row), "faint"));
    return item;
  }

  function close(id) {
    if (id === "find") byId("find-list").hidden = true;
  }

  document.addEventListener("input", (event) => event.target.id === "find" && search(event.target.value));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest(".find")) move(event);
  });

  /* Arrow keys go through what was found. */
  function move(event) {
    const all = [...byId("find-list").querySelectorAll("button")];
    const at = all.indexOf(document.activeElement);
    if (event.key === "Escape") close("find");
    if (event.key === "Enter" && at < 0 && all.length) all[0].click();
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    if (next < 0) byId("find").focus();
    else if (all[next]) all[next].focus();
  }

  document.addEventListener("click", (event) => {
    const step = event.target.closest("[data-step]");
    if (step) set("along", { value: Number(step.dataset.step) });
    if (event.target.id === "problem-close") byId("problem").hidden = true;
    if (event.target.id === "notices-close") closeNotices();
    if (["decode", "translate"].includes(event.target.id)) keepMade(event.target.id);
    if (event.target.id === "task-cancel") keepMade(null);
  });

  /* Large pictures. */
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".find") || event.target.closest("#find-list button")) close("find");
    const large = byId("large");
    if (event.target.closest("#large")) return large.close();
    const image = event.target.closest("img.zoomable");
    if (!image) return;
    byId("large-image").src = image.dataset.large || image.src;
    byId("large-image").alt = image.alt;
    large.showModal();
  });
})();
