"use strict";
(() => {
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

  // -- plates: one at a time ----------------------------------------------------------------------

  const plates = all(".plate");
  const duel = one(".duel");
  const TALLEST = 17;  // rem, of the two pictures one over the other
  let shown = 0;

  function picture(key) {
    return one(`.card[data-key="${CSS.escape(key)}"] img`, plates[shown]);
  }

  function compareTwo() {
    const [left, right] = ["#duel-left", "#duel-right"].map((id) => one(id));
    const share = one("#duel-share");
    const view = one(".duel-view");
    const lacking = [];
    [[left, ".over"], [right, ".under"]].forEach(([choice, layer]) => {
      const title = choice.selectedOptions[0].textContent;
      const source = picture(choice.value);
      const image = one(layer, view);
      image.hidden = !source;
      image.alt = source ? source.alt : `${title}: no picture`;
      if (source) {
        image.src = source.src;
        image.setAttribute("width", source.getAttribute("width"));
        image.setAttribute("height", source.getAttribute("height"));
        view.style.maxWidth = `${(TALLEST * source.getAttribute("width")) / source.getAttribute("height")}rem`;
        image.classList.toggle("coarse", source.classList.contains("coarse"));
      }
      if (!source) lacking.push(title);
    });
    one(".duel-note").textContent = lacking.length ? `no picture of this plate: ${lacking.join(", ")}` : "";
    const percent = Number(share.value);
    one(".over", view).style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
    one(".handle", view).style.left = `${percent}%`;
    share.setAttribute("aria-valuetext",
      `${percent} % ${left.selectedOptions[0].textContent}, the rest ${right.selectedOptions[0].textContent}`);
  }

  function show(place) {
    shown = (place + plates.length) % plates.length;
    plates.forEach((plate, i) => { plate.hidden = i !== shown; });
    one("#plate-choice").value = plates[shown].id;
    all(".thumbs button").forEach((thumb, i) => {
      thumb.setAttribute("aria-pressed", String(i === shown));
      if (i === shown) thumb.parentElement.scrollLeft = thumb.offsetLeft - thumb.parentElement.clientWidth / 3;
    });
    compareTwo();
  }

  function pick(place) {
    show(place);
    say(`Plate ${shown + 1} of ${plates.length}: ${plates[shown].dataset.title}`);
  }

  function byAddress() {
    const place = plates.findIndex((plate) => `#${plate.id}` === location.hash);
    if (place < 0) return;
    show(place);
    plates[place].scrollIntoView();
  }

  if (plates.length) {
    const thumbs = one(".thumbs");
    plates.forEach((plate, i) => {
      const source = one('.card[data-key="hr"] img', plate) ?? one(".card img", plate);
      const thumb = make("button", { type: "button", title: plate.dataset.title });
      thumb.setAttribute("aria-label", plate.dataset.title);
      if (source) thumb.append(make("img", { src: source.src, alt: "", width: source.getAttribute("width"), height: source.getAttribute("height") }));
      else thumb.textContent = String(i + 1);
      thumb.addEventListener("click", () => pick(i));
      thumbs.append(thumb);
    });
    all("[data-step]").forEach((button) => {
      button.addEventListener("click", () => pick(shown + Number(button.dataset.step)));
    });
    one("#plate-choice").addEventListener("change", (event) => pick(event.target.selectedIndex));
    one("#show-pixels").addEventListener("change", (event) => {
      one(".browser").classList.toggle("pixels", event.target.checked);
    });
    one(".browser").addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.target.closest("select, input, .scroll")) return;  // there the arrows have a meaning of their own
      event.preventDefault();
      pick(shown + step);
      if (event.target.closest(".thumbs")) all(".thumbs button")[shown].focus();
    });
    ["#duel-left", "#duel-right"].forEach((id) => one(id).addEventListener("change", compareTwo));
    one("#duel-share").addEventListener("input", compareTwo);
    one("#duel-swap").addEventListener("click", () => {
      const [left, right] = [one("#duel-left"), one("#duel-right")];
      [left.value, right.value] = [right.value, left.value];
      compareTwo();
    });
    [one(".picker"), thumbs, duel].forEach((part) => { part.hidden = false; });
    show(0);
    byAddress();
    addEventListener("hashchange", byAddress);
  }

  // -- contents: closed on narrow screens; the theme where one is stands open; print opens what is folded ----

  const contents = one(".contents");
  const wide = matchMedia("(min-width: 72rem)");
  const fit = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  const links = new Map(all("a", contents).map((link) => [link.hash.slice(1), link]));
  all("a", contents).forEach((link) => link.addEventListener("click", () => { if (!wide.matches) contents.open = false; }));
  const visible = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const current = [...links.keys()].find((id) => visible.has(id));
    if (links.get(current)?.hasAttribute("aria-current")) return;
    links.forEach((link) => link.removeAttribute("aria-current"));
    const link = links.get(current);
    if (!link) return;
    link.setAttribute("aria-current", "true");
    all(".theme", contents).forEach((theme) => { theme.open = theme.contains(link); });
    contents.scrollTop = link.offsetTop - contents.clientHeight / 2;
  }, { rootMargin: "-10% 0px -60% 0px" });
  all("main > section").forEach((section) => watcher.observe(section));
  addEventListener("beforeprint", () => all("details").forEach((part) => { part.open = true; }));
})();
