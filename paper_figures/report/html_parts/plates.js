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

function compareAnew() {
  compareTwo();
  showDifferences();
}

// -- differences to HR: their mean over R, G and B, on one scale for all methods of a plate ------------------------

const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];  // none to the largest
const heat = Array.from({ length: 256 }, (_, level) => {
  const at = (level / 255) * (HEAT.length - 1), i = Math.min(Math.floor(at), HEAT.length - 2);
  return HEAT[i].map((from, channel) => Math.round(from + (at - i) * (HEAT[i + 1][channel] - from)));
});
const measured = new Map();

async function pixels(source, width, height) {
  const image = make("img", { src: source });
  await image.decode();
  const context = make("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;  // LR is enlarged by repeating its pixels
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

async function measure(plate) {
  const high = one('.card[data-key="hr"] img', plate);
  if (!high) return null;
  const [width, height] = ["width", "height"].map((side) => Number(high.getAttribute(side)));
  const reference = await pixels(high.src, width, height);
  const found = { width, height, largest: 0, of: {} };
  for (const card of all(".card", plate)) {
    const image = one("img", card);
    if (!image) continue;
    const levels = await pixels(image.src, width, height);
    const sums = new Uint16Array(width * height);
    for (let i = 0; i < sums.length; i += 1) {
      for (let channel = 4 * i; channel < 4 * i + 3; channel += 1) sums[i] += Math.abs(levels[channel] - reference[channel]);
    }
    found.of[card.dataset.key] = sums;
    if (card.dataset.key !== "/lr") found.largest = sums.reduce((most, sum) => Math.max(most, sum), found.largest);
  }
  return found;
}

function differences(plate) {
  if (!measured.has(plate)) measured.set(plate, measure(plate));
  return measured.get(plate);
}

function paint(canvas, found, key) {
  const sums = found.of[key];
  canvas.hidden = !sums;
  if (!sums) return "";
  Object.assign(canvas, { width: found.width, height: found.height });
  const picture = new ImageData(found.width, found.height);
  sums.forEach((sum, i) => {
    picture.data.set(heat[Math.min(255, Math.round((255 * sum) / (found.largest || 1)))], 4 * i);
    picture.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const mean = (sums.reduce((total, sum) => total + sum, 0) / sums.length / 3).toFixed(1);
  canvas.setAttribute("aria-label", `Difference to HR, mean ${mean} of 255`);
  return mean;
}

async function showDifferences() {
  const place = shown;
  const found = await differences(plates[place]);
  if (place !== shown) return;  // another plate has been picked meanwhile
  one(".differences").hidden = !found;
  const everywhere = found && one("#show-differences").checked;
  for (const card of all(".card", plates[shown])) {
    const image = one("img", card);
    if (!image) continue;
    const canvas = one("canvas", card) ?? image.insertAdjacentElement("afterend", make("canvas", { role: "img" }));
    image.hidden = everywhere;
    canvas.hidden = !everywhere;
    if (everywhere) paint(canvas, found, card.dataset.key);
  }
  if (!found) return;
  for (const side of ["left", "right"]) {
    const choice = one(`#duel-${side}`);
    const mean = paint(one(`#difference-${side}`), found, choice.value);
    one(`#difference-${side} + figcaption`).textContent = mean && `${choice.selectedOptions[0].textContent}: mean ${mean}`;
  }
  const scale = one("#difference-scale").getContext("2d");
  heat.forEach((colour, level) => { scale.fillStyle = `rgb(${colour})`; scale.fillRect(level, 0, 1, 1); });
  one("#difference-largest").textContent = (found.largest / 3).toFixed(0);
}

function show(place) {
  shown = (place + plates.length) % plates.length;
  plates.forEach((plate, i) => { plate.hidden = i !== shown; });
  one("#plate-choice").value = plates[shown].id;
  all(".thumbs button").forEach((thumb, i) => {
    thumb.setAttribute("aria-pressed", String(i === shown));
    if (i === shown) thumb.parentElement.scrollLeft = thumb.offsetLeft - thumb.parentElement.clientWidth / 3;
  });
  compareAnew();
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
  ["#duel-left", "#duel-right"].forEach((id) => one(id).addEventListener("change", compareAnew));
  one("#show-differences").addEventListener("change", showDifferences);
  one("#duel-share").addEventListener("input", compareTwo);
  one("#duel-swap").addEventListener("click", () => {
    const [left, right] = [one("#duel-left"), one("#duel-right")];
    [left.value, right.value] = [right.value, left.value];
    compareAnew();
  });
  [one(".picker"), thumbs, duel].forEach((part) => { part.hidden = false; });
  show(0);
  byAddress();
  addEventListener("hashchange", byAddress);
}
