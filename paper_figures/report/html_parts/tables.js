"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const say = (words) => { one("#said").textContent = words; };

// -- tables: sorted by a click on a heading; a rule keeps what is above it apart from what is below ----

const FACTORS = { K: 1e3, k: 1e3, M: 1e6, G: 1e9 };
const NUMBER = /^[≈~<>≤≥+]?(-?\d[\d,]*(?:\.\d+)?)([KkMG](?![A-Za-z]))?/;

function words(cell) {
  const copy = cell.cloneNode(true);
  all("sup, .beneath", copy).forEach((mark) => mark.remove());
  return copy.textContent.trim();
}

function number(cell) {
  if (cell.dataset.key !== undefined) return Number.parseFloat(cell.dataset.key);
  const text = words(cell).replaceAll("−", "-");
  if (text.startsWith("∞")) return Infinity;
  if (text.startsWith("-∞")) return -Infinity;
  const found = NUMBER.exec(text);
  return found ? Number.parseFloat(found[1].replaceAll(",", "")) * (FACTORS[found[2]] ?? 1) : NaN;
}

const empty = (cell) => ["", "—"].includes(words(cell));

function sorter(table, column) {
  const cells = all("tbody tr", table).map((row) => row.cells[column]).filter((cell) => cell && !empty(cell));
  const numeric = column > 0 && cells.length > 0 && cells.every((cell) => !Number.isNaN(number(cell)));
  const compare = (a, b) => numeric
    ? number(a) - number(b) || 0
    : words(a).localeCompare(words(b), "en", { numeric: true });
  return { numeric, compare };
}

function sort(table, column, direction) {
  const { compare } = sorter(table, column);
  const sign = direction === "descending" ? -1 : 1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].sort((a, b) => {
      if (direction === "none") return a.dataset.place - b.dataset.place;
      const [x, y] = [a.cells[column], b.cells[column]];
      if (!x || !y || empty(x) || empty(y)) return Number(!x || empty(x)) - Number(!y || empty(y));
      return sign * compare(x, y) || a.dataset.place - b.dataset.place;
    });
    body.append(...rows);
  }
  all("thead th", table).forEach((th, i) => {
    if (i === column && direction !== "none") th.setAttribute("aria-sort", direction);
    else th.removeAttribute("aria-sort");
  });
}

for (const table of all("table.data")) {
  all("tbody tr", table).forEach((row, i) => { row.dataset.place = i; });
  all("thead th", table).forEach((th, column) => {
    const button = make("button", { type: "button", title: "Sort" });
    button.append(...th.childNodes);
    th.append(button);
    button.addEventListener("click", () => {
      const order = sorter(table, column).numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      const next = order[(order.indexOf(th.getAttribute("aria-sort") ?? "none") + 1) % 3];
      sort(table, column, next);
      say(next === "none" ? "Rows in the order of the report." : `Sorted by ${words(th)}, ${next}.`);
    });
  });
}
