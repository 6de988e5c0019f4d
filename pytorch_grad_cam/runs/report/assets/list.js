// The pictures, as cards: only those in sight are in the page, wherever one scrolls.
const GAP = 12;
const PADDING = 8; // of a card
const BETWEEN = 4; // maps of a card
const CAPTION = 18; // below a map, where a picture has several
const WORDS = 68; // below the maps: name, prediction, label
let tallest = 12_000_000; // pixels; browsers make nothing much taller
const PRINTED = 200;

const list = byId("list");
const cards = new Map(); // by place in the order, those in the page
let order = []; // rows that are shown
let active = 0; // place of the card that the keys move
let shape = { columns: 1, width: 300, tile: 144, maps: 1, lines: 1, height: 260 };
let hiddenMethods = new Set();

const shownMaps = (row) => row[MAPS].filter((map) => !hiddenMethods.has(methodOf(map)));

const measure = (state) => {
  let maps = 1;
  for (const row of rows) maps = Math.max(maps, shownMaps(row).length);
  const space = list.clientWidth;
  const size = Math.min(state.size, space - 2 * PADDING - 2);
  const beside = Math.max(1, Math.min(maps, Math.floor((space - 2 * PADDING - 2 + BETWEEN) / (size + BETWEEN))));
  const least = beside * (size + BETWEEN) - BETWEEN + 2 * PADDING + 2;
  const columns = Math.max(1, Math.floor((space + GAP) / (least + GAP)));
  const width = Math.floor((space - GAP * (columns - 1)) / columns);
  const tile = Math.min(Math.floor((width - 2 * PADDING - 2 + BETWEEN) / beside - BETWEEN), Math.round(1.5 * size));
  const lines = Math.ceil(maps / beside);
  const height = lines * (tile + BETWEEN + (maps > 1 ? CAPTION : 0)) + 2 * PADDING + WORDS;
  shape = { columns, width, tile, maps, lines, height };
  list.style.setProperty("--tile", `${tile}px`);
  list.style.setProperty("--beside", beside);
};

const mapTitle = (row, map) => {
  const [method, , label] = lists.kinds[map[KIND]];
  const several = new Set(row[MAPS].map((each) => lists.kinds[each[KIND]][2])).size > 1;
  const methods = new Set(row[MAPS].map(methodOf)).size > 1;
  return [methods || !several ? method : "", several ? label : ""].filter(Boolean).join(" · ");
};

const picture = (source, className) => {
  const made = element("img", { alt: "", className, decoding: "async", draggable: false });
  made.addEventListener("error", () => made.replaceWith(element("span", { className: "missing", textContent: "the file is missing" })));
  made.src = source;
  return made;
};

// The picture under one of its maps; null: under none.
const stage = (row, map) => {
  const [own, drawn] = [filesOf(row, row[FILES]), map === null ? {} : filesOf(row, map[MAP_FILES])];
  const made = element("span", { className: "stage" });
  if (own.thumb) made.append(picture(own.thumb, "photo"));
  if (drawn.heat) made.append(picture(drawn.heat, "heat"));
  const why = map === null ? "" : map[NOTES].map((note) => lists.notes[note]).join("; ");
  const nothing = own.thumb ? (map === null ? "no map" : `no map: ${why}`) : "no picture was kept";
  if (!drawn.heat) made.append(element("span", { className: "missing", textContent: nothing }));
  return made;
};

const verdict = (row) => {
  if (isFailed(row)) return ["bad", "failed"];
  if (row[RIGHT] === 1) return ["good", "right"];
  return row[RIGHT] === 0 ? ["bad", "wrong"] : ["", ""];
};

const spoken = (row) => {
  const parts = [row[ID], verdict(row)[1]];
  if (row[SEEN].length) parts.push(`seen as ${classText(row)} ${shareText(confidence(row))}`);
  if (labelText(row)) parts.push(`label ${labelText(row)}`);
  if (notesOf(row).length) parts.push(plural(notesOf(row).length, "note"));
  return parts.filter(Boolean).join(", ");
};

const WORD_SIGNS = { right: "✓", wrong: "✗", failed: "!" };

const words = (row) => {
  const [kind, word] = verdict(row);
  const seen = [element("span", { className: `sign ${kind}`, textContent: WORD_SIGNS[word] ?? "" })];
  if (isFailed(row)) seen.push(element("bdi", { className: "fit", textContent: row[ERROR] ?? "failed" }));
  else
    seen.push(
      element("bdi", { className: "fit", textContent: classText(row) }),
      element("span", { className: "share", textContent: shareText(confidence(row)) }),
    );
  const noted = notesOf(row).length;
  return [
    element("span", { className: "line name" }, [
      element("bdi", { className: "fit", textContent: row[ID] }),
      element("span", { className: "sign bad", textContent: noted ? `note${noted > 1 ? "s" : ""}` : "" }),
    ]),
    element("span", { className: "line seen" }, seen),
    element("span", { className: "line truth" }, [
      element("bdi", { className: "fit", textContent: labelText(row) === "" ? "" : `label: ${labelText(row)}` }),
    ]),
  ];
};

const card = (place) => {
  const row = rows[order[place]];
  const maps = shownMaps(row);
  const drawn = (maps.length ? maps : [null]).map((map) =>
    element("span", { className: "one" }, [
      stage(row, map),
      ...(shape.maps > 1 ? [element("span", { className: "caption fit", textContent: map === null ? "" : mapTitle(row, map) })] : []),
    ]),
  );
  const nothing = isFailed(row) || isSkipped(row);
  const body = nothing
    ? [element("span", { className: "none", textContent: isFailed(row) ? row[ERROR] ?? "failed" : "not explained: not asked for" })]
    : drawn;
  const button = element("button", { type: "button", className: `open ${verdict(row)[0]}`, tabIndex: place === active ? 0 : -1 }, [
    element("span", { className: "maps" }, body),
    ...words(row),
  ]);
  button.setAttribute("aria-label", spoken(row));
  button.dataset.place = place;
  const made = element("li", { className: "card" }, [button]);
  made.setAttribute("aria-setsize", order.length);
  made.setAttribute("aria-posinset", place + 1);
  return made;
};

const totalHeight = () => Math.max(0, Math.ceil(order.length / shape.columns) * (shape.height + GAP) - GAP);

// How far the page is scrolled into the list, and how far that is in pixels of all cards: where these are too many for
// a browser, a step of the page is several of theirs, until the last ones are in sight.
const bar = document.querySelector(".bar");
const stickyHeight = () => (getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0);
const pageScroll = () => Math.max(0, window.scrollY - list.offsetTop + stickyHeight());
const ends = () => {
  const [all, view] = [totalHeight(), window.innerHeight];
  return all <= tallest ? [all, all] : [tallest - view, all - view];
};
const scrolled = () => {
  const [inPage, inCards] = ends();
  const at = pageScroll();
  return inPage === inCards ? at : at <= inPage ? (at * inCards) / inPage : at - inPage + inCards;
};
const pageScrollTo = (top) => {
  const [inPage, inCards] = ends();
  return inPage === inCards ? top : top <= inCards ? (top * inPage) / inCards : top - inCards + inPage;
};

const draw = () => {
  if (list.classList.contains("printing")) return;
  const step = shape.height + GAP;
  const top = scrolled();
  const first = Math.max(0, Math.floor(top / step) - 1) * shape.columns;
  const last = Math.min(order.length, Math.ceil((top + window.innerHeight) / step + 1) * shape.columns);
  for (const [place, made] of cards)
    if (place < first || place >= last) {
      made.remove();
      cards.delete(place);
    }
  const shift = top - pageScroll();
  for (let place = first; place < last; place += 1) {
    if (!cards.has(place)) {
      cards.set(place, card(place));
      list.append(cards.get(place));
    }
    const { style } = cards.get(place);
    style.width = `${shape.width}px`;
    style.height = `${shape.height}px`;
    style.left = `${(place % shape.columns) * (shape.width + GAP)}px`;
    style.top = `${Math.floor(place / shape.columns) * step - shift}px`;
  }
};

// Draw all cards anew.
const redraw = (state) => {
  if (list.classList.contains("printing")) return;
  for (const made of cards.values()) made.remove();
  cards.clear();
  measure(state);
  list.style.height = `${Math.min(totalHeight(), tallest)}px`;
  draw();
};

const showOrder = (state, places) => {
  order = places;
  active = 0;
  redraw(state);
};

const activate = (place, focus = true) => {
  if (!order.length) return;
  const before = cards.get(active);
  if (before) before.firstElementChild.tabIndex = -1;
  active = Math.min(Math.max(place, 0), order.length - 1);
  const top = Math.floor(active / shape.columns) * (shape.height + GAP);
  const [from, room] = [scrolled(), window.innerHeight - stickyHeight()];
  let to = null;
  if (top < from) to = top;
  else if (top + shape.height > from + room) to = top + shape.height - room + GAP;
  if (to !== null) window.scrollTo({ top: pageScrollTo(to) + list.offsetTop - stickyHeight(), behavior: "instant" });
  draw();
  const button = cards.get(active)?.firstElementChild;
  if (!button) return;
  button.tabIndex = 0;
  if (focus) button.focus({ preventScroll: true });
};

// On paper nothing scrolls: the first ones of what is shown, one behind the other.
const layOutForPrint = () => {
  list.classList.add("printing");
  for (const made of cards.values()) made.remove();
  cards.clear();
  for (let place = 0; place < Math.min(order.length, PRINTED); place += 1) {
    cards.set(place, card(place));
    list.append(cards.get(place));
  }
  byId("printed").textContent =
    order.length > PRINTED ? `The first ${PRINTED} are printed; filter to print others.` : "";
};
const endPrint = (state) => {
  list.classList.remove("printing");
  byId("printed").textContent = "";
  redraw(state);
};
