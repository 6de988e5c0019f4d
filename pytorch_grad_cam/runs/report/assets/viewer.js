// One picture, large, with all that is known of it.
const viewer = byId("viewer");

const link = (text, at, name) => {
  const made = element("a", { textContent: text, href: at });
  if (held === null) Object.assign(made, { target: "_blank", rel: "noopener noreferrer" });
  else made.download = name; // browsers open no page that is part of an address
  return made;
};

const FILE_WORDS = { overlay: "overlay, full size", heatmap: "heatmap", npy: "values (.npy)", boxes: "boxes" };

const figureOf = (row, map) => {
  const files = map === null ? {} : filesOf(row, map[MAP_FILES]);
  const shown = stage(row, map);
  shown.style.aspectRatio = row[WIDTH] ? `${row[WIDTH]} / ${row[HEIGHT]}` : "1";
  if (files.overlay) shown.append(picture(files.overlay, "full-size"));
  const facts = [];
  if (map !== null) {
    const [, target, label, layers] = lists.kinds[map[KIND]];
    if (label) facts.push(`explains ${target >= 0 ? classTexts[target] : label}`);
    if (map[SHARE] !== null) facts.push(shareText(map[SHARE]));
    if (map[SCORE] !== null) facts.push(`score ${number(map[SCORE])}`);
    if (map[ENERGY] !== null) facts.push(`energy ${number(map[ENERGY])}`);
    if (layers) facts.push(`layer ${layers}`);
  }
  const links = Object.entries(FILE_WORDS)
    .filter(([kind]) => files[kind])
    .flatMap(([kind, text], place) => [place ? " · " : "", link(text, files[kind], `${kind}-${methodOf(map)}`)]);
  return element("figure", {}, [
    shown,
    element("figcaption", {}, [
      element("b", { textContent: map === null ? "picture" : mapTitle(row, map) }),
      element("span", { textContent: facts.join(", ") }),
      ...(map === null ? [] : map[NOTES]).map((note) => element("span", { className: "note", textContent: lists.notes[note] })),
      element("span", { className: "links" }, links),
    ]),
  ]);
};

const seenTable = (row) => {
  const lines = [];
  for (let place = 0; place < row[SEEN].length; place += 2) {
    const value = row[SEEN][place + 1];
    const made = element("li", {}, [
      element("bdi", { textContent: classTexts[row[SEEN][place]] }),
      element("b", { textContent: shareText(value) }),
    ]);
    made.style.setProperty("--part", `${lists.shares && value !== null ? 100 * value : 0}%`);
    lines.push(made);
  }
  return element("ol", { className: "bars" }, lines);
};

const factsOf = (row) => {
  const facts = [
    ["Label", labelText(row)],
    ["Prediction", verdict(row)[1]],
    ["Status", lists.statuses[row[STATUS]]],
    ["Error", row[ERROR]],
    ["Where", originOf(row)],
    ["Size", row[WIDTH] ? `${row[WIDTH]} × ${row[HEIGHT]}` : ""],
    ["Time", row[MS] ? `${number(row[MS])} ms` : ""],
  ];
  const made = facts
    .filter(([, value]) => value)
    .flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", {}, [element("bdi", { textContent: value })])]);
  const record = filesOf(row, row[FILES]).record;
  if (record) made.push(element("dt", { textContent: "Record" }), element("dd", {}, [link("its line of the index", record, "record.json")]));
  return element("div", { className: "facts" }, [
    ...(row[SEEN].length ? [element("h3", { textContent: "What the network sees" }), seenTable(row)] : []),
    element("dl", {}, made),
  ]);
};

let opened = 0; // its place: the browser gives the focus back to the card that was clicked
const open = (place) => {
  activate(place, false);
  opened = active;
  const row = rows[order[active]];
  const maps = shownMaps(row);
  const figures = (maps.length ? maps : [null]).map((map) => figureOf(row, map));
  byId("viewer-title").textContent = row[ID];
  byId("viewer-place").textContent = `${(active + 1).toLocaleString("en")} of ${order.length.toLocaleString("en")}`;
  const shows = row[FILES] >= 0 ? [element("div", { className: "figures" }, figures)] : [];
  byId("viewer-body").replaceChildren(...shows, factsOf(row));
  byId("full-label").hidden = !viewer.querySelector(".full-size");
  for (const button of viewer.querySelectorAll("[data-step]"))
    button.disabled = button.dataset.step === "-1" ? active === 0 : active === order.length - 1;
  if (!viewer.open) viewer.showModal();
};
