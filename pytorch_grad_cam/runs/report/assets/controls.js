// What is asked for, what is clicked and typed, and the address of the page, which remembers it.
const START = {
  text: "", label: "", class: "", right: "", status: "", note: "", sort: "source", up: true,
  confidenceFrom: null, confidenceTo: null, energyFrom: null, energyTo: null, energyOf: data.methods[0] ?? "",
};
const SHOWN = { strength: 50, size: 144, theme: "", flipped: false, full: true };
const NUMBERS = { "confidence-from": "confidenceFrom", "confidence-to": "confidenceTo", "energy-from": "energyFrom", "energy-to": "energyTo" };
const CHOICES = { label: "label", class: "class", right: "right", status: "status", note: "note", sort: "sort", "energy-of": "energyOf", text: "text" };
const state = { ...START, ...SHOWN };
let loaded = false;

const option = (value, text) => element("option", { value, textContent: text });

const fillChoices = () => {
  const counts = (of, length) => {
    const found = new Float64Array(length);
    for (const row of rows) for (const place of of(row)) if (place >= 0) found[place] += 1;
    return found;
  };
  const fill = (id, names, found, first = [option("", "all")], most = Infinity) => {
    const collator = new Intl.Collator(undefined, { numeric: true });
    const used = [...names.keys()].filter((place) => found[place]);
    const kept = used.length > most ? used.sort((a, b) => found[b] - found[a]).slice(0, most) : used;
    kept.sort((a, b) => collator.compare(names[a], names[b]));
    byId(id).replaceChildren(...first, ...kept.map((place) => option(place, `${names[place]} (${found[place].toLocaleString("en")})`)));
  };
  fill("label", lists.labels, counts((row) => [row[LABEL]], lists.labels.length));
  fill("class", classTexts, counts((row) => [topClass(row)], classTexts.length));
  fill("status", lists.statuses, counts((row) => [row[STATUS]], lists.statuses.length));
  const notes = [option("", "all"), option("any", "with notes"), option("none", "without notes")];
  fill("note", lists.notes, counts((row) => new Set(notesOf(row)), lists.notes.length), notes, 200);
  byId("sort").replaceChildren(...Object.entries(KEYS).map(([key, { text }]) => option(key, text)));
  byId("energy-of").replaceChildren(...data.methods.map((method) => option(method, method)));
  byId("energy-of-label").hidden = data.methods.length < 2;
  byId("confidence-unit").textContent = lists.shares ? "in %" : "";
};

// --- from what is asked for to the page
const show = () => {
  for (const [id, key] of Object.entries(CHOICES)) if (byId(id).value !== state[key]) byId(id).value = state[key];
  for (const [id, key] of Object.entries(NUMBERS)) if (byId(id).value !== String(state[key] ?? "")) byId(id).value = state[key] ?? "";
  byId("direction").textContent = state.up ? "↑" : "↓";
  byId("direction").setAttribute("aria-label", `Order: ${state.up ? "ascending" : "descending"}`);
  const isAsked = Object.keys(START).some((key) => !["sort", "up", "energyOf"].includes(key) && state[key] !== START[key]);
  byId("reset").disabled = !isAsked;
  markAsked(state);
  if (rows.length) showOrder(state, chosen(state));
  byId("count").textContent = loaded
    ? `${order.length.toLocaleString("en")} of ${plural(rows.length, "picture")}`
    : `loading: ${rows.length.toLocaleString("en")} of ${plural(data.count, "picture")}`;
  list.dataset.empty = loaded && rows.length && !order.length ? "No picture is like that." : "";
};

const showLook = () => {
  const { style, dataset } = document.documentElement;
  style.setProperty("--strength", state.strength / 100);
  dataset.flipped = state.flipped;
  dataset.full = state.full;
  if (state.theme) dataset.theme = state.theme;
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("strength").value = state.strength;
  byId("size").value = state.size;
  byId("full").checked = state.full;
  byId("flip").setAttribute("aria-pressed", String(state.flipped));
};
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (state.theme ? state.theme === "dark" : darkness.matches);

// --- the address: what differs from the start, by names, so that it also fits the next report of the run
const NAMED = { label: () => lists.labels, class: () => classTexts, status: () => lists.statuses, note: () => lists.notes };
let later = 0;
const remember = () => {
  clearTimeout(later);
  later = setTimeout(() => {
    const kept = new URLSearchParams();
    for (const [key, first] of Object.entries({ ...START, ...SHOWN }))
      if (state[key] !== first && key !== "flipped") kept.set(key, NAMED[key]?.()[state[key]] ?? String(state[key] ?? ""));
    if (hiddenMethods.size) kept.set("without", [...hiddenMethods].join(" "));
    history.replaceState(null, "", `#${kept}`);
  }, 300);
};
const typed = (first, text) => {
  if (typeof first === "boolean") return text === "true";
  if (first === null || typeof first === "number") return text === "" || Number.isNaN(+text) ? first : +text;
  return text;
};
const recall = () => {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const [key, first] of Object.entries({ ...START, ...SHOWN })) {
    if (!kept.has(key)) continue;
    const place = NAMED[key]?.().indexOf(kept.get(key)) ?? -1;
    if (place >= 0) state[key] = String(place);
    else if (!NAMED[key] || ["any", "none"].includes(kept.get(key))) state[key] = typed(first, kept.get(key));
  }
  if (!Object.hasOwn(KEYS, state.sort)) state.sort = START.sort;
  if (!data.methods.includes(state.energyOf)) state.energyOf = START.energyOf;
  if (!["light", "dark"].includes(state.theme)) state.theme = "";
  hiddenMethods = new Set((kept.get("without") ?? "").split(" ").filter((method) => data.methods.includes(method)));
};

const change = (changes) => {
  Object.assign(state, changes);
  show();
  remember();
};
const look = (changes) => {
  Object.assign(state, changes);
  showLook();
  remember();
};
// What a tile, a bar or a pair asks for takes the place of all other filters.
const ask = (asks) => {
  const { sort, up, energyOf } = state;
  change({ ...START, sort, up, energyOf, ...asks });
  window.scrollTo({ top: Math.min(window.scrollY, Math.max(0, list.offsetTop - bar.offsetHeight)), behavior: "instant" });
};

// --- what is clicked and typed
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
for (const [id, key] of Object.entries(CHOICES)) byId(id).addEventListener("input", (event) => change({ [key]: event.target.value }));
for (const [id, key] of Object.entries(NUMBERS))
  byId(id).addEventListener("input", (event) => change({ [key]: typed(null, event.target.value) }));
byId("direction").addEventListener("click", () => change({ up: !state.up }));
byId("reset").addEventListener("click", () => ask({}));
byId("strength").addEventListener("input", (event) => look({ strength: +event.target.value, flipped: false, full: false }));
byId("flip").addEventListener("click", () => look({ flipped: !state.flipped }));
byId("full").addEventListener("input", (event) => look({ full: event.target.checked }));
byId("theme").addEventListener("click", () => look({ theme: isDark() ? "light" : "dark" }));
byId("size").addEventListener("input", (event) => {
  look({ size: +event.target.value });
  redraw(state);
});
byId("methods").hidden = data.methods.length < 2;
const showMethods = () =>
  byId("methods").replaceChildren(
    byId("methods").firstElementChild,
    ...data.methods.map((method) => {
      const box = element("input", { type: "checkbox", checked: !hiddenMethods.has(method) });
      box.addEventListener("input", () => {
        hiddenMethods[box.checked ? "delete" : "add"](method);
        redraw(state);
        remember();
      });
      return element("label", { className: "check" }, [box, method]);
    }),
  );
list.addEventListener("click", (event) => {
  const button = event.target.closest(".open");
  if (button) open(+button.dataset.place);
});
list.addEventListener("focusin", (event) => {
  const button = event.target.closest(".open");
  if (button && +button.dataset.place !== active) activate(+button.dataset.place, false);
});
for (const button of viewer.querySelectorAll("[data-step]"))
  button.addEventListener("click", () => open(active + Number(button.dataset.step)));
byId("close").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
viewer.addEventListener("close", () => activate(opened));
byId("show-keys").addEventListener("click", () => byId("keys").showModal());
byId("close-keys").addEventListener("click", () => byId("keys").close());
darkness.addEventListener("change", showLook);

// --- keys: those of the list where nothing else has them
const firstInSight = () => Math.min(order.length - 1, Math.ceil(scrolled() / (shape.height + GAP)) * shape.columns);
// Of a picture that is open the next one; else to another card, from that with the focus or, without one, to the first in sight.
const move = (inViewer, inList) => () => {
  if (viewer.open) open(active + inViewer);
  else activate(document.activeElement.closest(".open") ? inList(active) : firstInSight());
  return true;
};
const jump = (to) => () => {
  if (viewer.open) open(to());
  else activate(to());
  return true;
};
const inListOnly = (work) => () => !viewer.open && work();
const ON_KEY = {
  ArrowRight: move(1, (place) => place + 1),
  ArrowLeft: move(-1, (place) => place - 1),
  ArrowDown: inListOnly(move(0, (place) => (place + shape.columns < order.length ? place + shape.columns : place))),
  ArrowUp: inListOnly(move(0, (place) => (place >= shape.columns ? place - shape.columns : place))),
  Home: jump(() => 0),
  End: jump(() => order.length - 1),
  f: () => (look({ flipped: !state.flipped }), true),
  "[": () => (look({ strength: Math.max(0, state.strength - 10), flipped: false, full: false }), true),
  "]": () => (look({ strength: Math.min(100, state.strength + 10), flipped: false, full: false }), true),
  "/": () => !viewer.open && (byId("text").focus(), byId("text").select(), true),
  "?": () => (byId("keys").showModal(), true),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing) {
    if (event.key === "Escape" && event.target.id === "text") change({ text: "" });
    return;
  }
  if (Object.hasOwn(ON_KEY, event.key) && ON_KEY[event.key](event)) event.preventDefault();
});

let frame = 0;
const soon = (work) => {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(work);
};
window.addEventListener("scroll", () => soon(draw), { passive: true });
new ResizeObserver(() => soon(() => rows.length && redraw(state))).observe(list.parentElement);
window.addEventListener("beforeprint", layOutForPrint);
window.addEventListener("afterprint", () => endPrint(state));
byId("print").addEventListener("click", async () => {
  layOutForPrint(); // the dialog does not wait for pictures
  await Promise.allSettled([...list.querySelectorAll("img")].map((image) => image.decode()));
  window.print();
});

// --- the rows: in the page, or in files next to it, which come one by one
const finish = () => {
  loaded = true;
  fillChoices();
  recall();
  showMethods();
  showTiles(ask);
  showHistogram(ask);
  showPairs(ask);
  showLook();
  show();
  document.documentElement.dataset.ready = "true";
};
const fail = () => {
  byId("problem").textContent =
    "The data of this page is missing: it lies in the folder data next to the page, the pictures in the folders beside. Keep the run's folder whole, or write a single file (cam report RUN --single-file).";
  byId("problem").hidden = false;
};
const waiting = new Map();
let next = 0;
window.reportRows = (place, text) => {
  waiting.set(place, text);
  for (; waiting.has(next); next += 1) {
    addRows(JSON.parse(waiting.get(next)));
    waiting.delete(next);
    if (next === 0) show();
  }
  byId("count").textContent = `loading: ${rows.length.toLocaleString("en")} of ${plural(data.count, "picture")}`;
  if (next === data.chunks.length) finish();
};

if (window.innerWidth < 800) byId("filters").open = false;
showLook();
if (data.rows !== null) addRows(data.rows);
if (data.chunks.length === 0) finish();
for (const chunk of data.chunks) {
  const script = element("script", { src: chunk, async: true });
  script.addEventListener("error", fail);
  document.head.append(script);
}
