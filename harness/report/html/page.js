// SPDX-License-Identifier: GPL-2.0-only
// The page works without this: panels open through :target. It adds tabs and keys.
"use strict";
(() => {
  const cells = [...document.querySelectorAll(".matrix .cell")];
  const anchor = (link) => decodeURIComponent(link.hash.slice(1));
  const cellOf = new Map(cells.map((link) => [anchor(link), link]));
  let tab = ""; // label of the tab chosen last: kept from one cell to the next

  const openPanel = () => {
    let id = "";
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      return null; // a hash that somebody mistyped
    }
    const panel = document.getElementById(id);
    return panel && panel.classList.contains("panel") ? panel : null;
  };

  const choose = (panel, label) => {
    for (const pane of panel.querySelectorAll(".pane")) {
      pane.hidden = pane.dataset.pane !== label;
    }
    for (const button of panel.querySelectorAll("[role=tab]")) {
      const chosen = button.textContent === label;
      button.setAttribute("aria-selected", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
  };

  // Tabs are made when a panel opens for the first time: most never do.
  const makeTabs = (panel) => {
    const panes = [...panel.querySelectorAll(".pane")];
    if (!panes.length || panel.querySelector(".tabs")) return;
    const list = document.createElement("div");
    list.className = "tabs";
    list.setAttribute("role", "tablist");
    panes.forEach((pane, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = pane.dataset.pane;
      button.setAttribute("role", "tab");
      pane.id = `${panel.id}--pane-${number}`;
      pane.setAttribute("role", "tabpanel");
      pane.setAttribute("aria-label", pane.dataset.pane);
      button.setAttribute("aria-controls", pane.id);
      pane.querySelector("h3").hidden = true;
      button.addEventListener("click", () => {
        tab = pane.dataset.pane;
        choose(panel, tab);
      });
      list.append(button);
    });
    panes[0].before(list);
  };

  const show = () => {
    for (const link of cells) link.removeAttribute("aria-current");
    const panel = openPanel();
    if (!panel) return;
    makeTabs(panel);
    const labels = [...panel.querySelectorAll(".pane")].map((pane) => pane.dataset.pane);
    if (labels.length) choose(panel, labels.includes(tab) ? tab : labels[0]);
    const link = cellOf.get(panel.id);
    if (link) link.setAttribute("aria-current", "true");
    panel.scrollTop = 0;
    panel.focus({ preventScroll: true });
  };

  const close = () => {
    const panel = openPanel();
    if (!panel) return;
    location.hash = "overview"; // no element has this id: nothing scrolls
    const link = cellOf.get(panel.id);
    if (link) enter(link, true);
  };

  // Of all cells one is in the tab order; arrow keys go on from there.
  const enter = (link, focus) => {
    for (const other of cells) other.tabIndex = other === link ? 0 : -1;
    if (focus) link.focus();
  };

  const neighbour = (link, down, right) => {
    const row = link.closest("tr");
    const inRow = [...row.querySelectorAll(".cell")];
    if (right) return inRow[inRow.indexOf(link) + right];
    const rows = [...row.parentElement.rows];
    const place = link.parentElement;
    const fromEnd = row.cells.length - place.cellIndex; // row heads span rows: count from the end
    for (let at = rows.indexOf(row) + down; rows[at]; at += down) {
      const found = rows[at].cells[rows[at].cells.length - fromEnd].querySelector(".cell");
      if (found) return found;
    }
    return undefined;
  };

  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const panel = openPanel();
    const at = event.target;
    if (event.key === "Escape" && panel) {
      close();
    } else if (event.key in ARROWS && at.classList.contains("cell")) {
      const next = neighbour(at, ...ARROWS[event.key]);
      if (next) enter(next, true);
    } else if (event.key in ARROWS && at.getAttribute("role") === "tab") {
      const step = ARROWS[event.key][1];
      const next = step > 0 ? at.nextElementSibling : step < 0 ? at.previousElementSibling : null;
      if (!next) return;
      next.click();
      next.focus();
    } else if (panel && at === panel && ARROWS[event.key]?.[1]) {
      // beside the panel's own text, left and right go along the positions
      const next = neighbour(cellOf.get(panel.id), 0, ARROWS[event.key][1]);
      if (next) location.hash = next.hash;
    } else {
      return;
    }
    event.preventDefault();
  });

  // Point at a plot: all plots of the cell say what was at that time.
  const numbers = (text) => text.split(" ").map(Number);
  const nearest = (times, t) => {
    let best = 0;
    times.forEach((time, at) => {
      if (Math.abs(time - t) < Math.abs(times[best] - t)) best = at;
    });
    return best;
  };
  for (const figure of document.querySelectorAll(".figure")) {
    const [start, end] = [Number(figure.dataset.start), Number(figure.dataset.end)];
    const when = figure.querySelector(".when");
    const rest = [when.textContent, ...[...figure.querySelectorAll(".keys b")].map((b) => b.textContent)];
    const cursors = figure.querySelectorAll(".cursor");
    let curves = []; // read when somebody first points at it: most figures never are
    const known = () => {
      if (curves.length) return curves;
      curves = [...figure.querySelectorAll(".plot")].flatMap((plot) => {
        const lines = plot.querySelectorAll(".curve");
        return [...plot.querySelectorAll(".keys b")].map((value) => {
          const { times, values } = lines[value.dataset.curve].dataset;
          return { value, times: numbers(times), values: numbers(values) };
        });
      });
      return curves;
    };
    const read = (t, x) => {
      when.textContent = `At ${t.toFixed(2)} s`;
      for (const { value, times, values } of known()) {
        value.textContent = values[nearest(times, t)].toLocaleString("en");
      }
      for (const cursor of cursors) {
        cursor.setAttribute("x1", x);
        cursor.setAttribute("x2", x);
        cursor.setAttribute("visibility", "visible");
      }
    };
    for (const lines of figure.querySelectorAll(".lines")) {
      lines.addEventListener("pointermove", (event) => {
        const box = lines.getBoundingClientRect();
        const x = Math.min(632, Math.max(52, ((event.clientX - box.left) / box.width) * 640));
        read(start + ((x - 52) / 580) * (end - start), x);
      });
    }
    figure.addEventListener("pointerleave", () => {
      when.textContent = rest[0];
      figure.querySelectorAll(".keys b").forEach((value, at) => {
        value.textContent = rest[at + 1];
      });
      for (const cursor of cursors) cursor.setAttribute("visibility", "hidden");
    });
  }

  for (const link of document.querySelectorAll(".close")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      close();
    });
  }
  for (const link of cells) {
    link.addEventListener("focus", () => enter(link, false));
  }
  // A patch's column head and its entry in the list light up together.
  for (const head of document.querySelectorAll("th[data-patch]")) {
    const entry = document.querySelector(`li[data-patch="${head.dataset.patch}"]`);
    if (!entry) continue;
    for (const [event, lit] of [["mouseenter", true], ["mouseleave", false]]) {
      head.addEventListener(event, () => entry.classList.toggle("lit", lit));
    }
  }
  if (cells.length) enter(cells[0], false);
  window.addEventListener("hashchange", show);
  show();
})();
