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

// -- commands are copied by a button; where there is no clipboard for a file from disk, by a selection ----------

all(".copy").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const line = button.previousElementSibling;
    getSelection().selectAllChildren(line);
    const copied = await (navigator.clipboard?.writeText(line.textContent) ?? Promise.reject()).then(() => true, () => document.execCommand("copy"));
    say(copied ? "Copied." : "The command is selected.");
    if (copied) button.textContent = "Copied";
  });
});
