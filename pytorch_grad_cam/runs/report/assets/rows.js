// The rows of a run, as runs/report/compact.py writes them; which of them are shown, and in what order.
const data = JSON.parse(byId("data").textContent);
const lists = data.lists;
const [ID, STEM, ORIGIN, LABEL, RIGHT, STATUS, MS, HEIGHT, WIDTH, SEEN, MAPS, FILES, ERROR] = Array(13).keys();
const [KIND, MAP_FILES, SCORE, SHARE, ENERGY, NOTES] = Array(6).keys();
const KIND_METHOD = 0;
const rows = [];
const texts = []; // what the search looks in, row by row

const plural = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const shareText = (value) =>
  value === null || value === undefined ? "" : lists.shares ? `${(100 * value).toFixed(1)} %` : number(value);

// Classes by their names; two with the same name are told apart by their numbers.
const classTexts = (() => {
  const counts = new Map();
  for (const [, name] of lists.classes) counts.set(name, (counts.get(name) ?? 0) + 1);
  return lists.classes.map(([index, name]) =>
    name === null ? String(index) : counts.get(name) > 1 ? `${name} (${index})` : name,
  );
})();
const labelText = (row) => (row[LABEL] < 0 ? "" : lists.labels[row[LABEL]]);
const topClass = (row) => (row[SEEN].length ? row[SEEN][0] : -1);
const classText = (row) => (row[SEEN].length ? classTexts[row[SEEN][0]] : "");
const confidence = (row) => (row[SEEN].length ? row[SEEN][1] : null);
const methodOf = (map) => lists.kinds[map[KIND]][KIND_METHOD];
const notesOf = (row) => row[MAPS].flatMap((map) => map[NOTES]);
const energyOf = (row, method) => row[MAPS].find((map) => methodOf(map) === method)?.[ENERGY] ?? null;
const isFailed = (row) => lists.statuses[row[STATUS]] === "failed";
const isSkipped = (row) => lists.statuses[row[STATUS]] === "skipped";
const around = ([before, behind], part) => (behind === null ? before : before + part + behind);
const originOf = (row) => around(lists.origins[row[ORIGIN]], row[ID]);

const addRows = (added) => {
  for (const row of added) {
    rows.push(row);
    const notes = notesOf(row).map((note) => lists.notes[note]);
    const parts = [row[ID], labelText(row), classText(row), originOf(row), row[ERROR] ?? "", ...notes];
    texts.push(parts.join("\n").toLowerCase());
  }
};

// Files by what they are, as addresses; of a page that holds its pictures those that it holds.
const held = data.pictures === null ? null : new Map(Object.entries(data.pictures));
const address = (path) =>
  held !== null ? held.get(path) : `../${path.replace(/\p{Surrogate}/gu, "\ufffd").split("/").map(encodeURIComponent).join("/")}`;
const filesOf = (row, place) => {
  const found = {};
  if (place < 0) return found;
  for (const [kind, before, behind] of lists.files[place]) {
    const at = address(around([before, behind], row[STEM] ?? row[ID]));
    if (at !== undefined) found[kind] = at;
  }
  return found;
};

const within = (value, from, to) =>
  (from === null && to === null) || (value !== null && (from === null || value >= from) && (to === null || value <= to));

// What is asked, as a list of tests: a row is shown that passes all.
const testsOf = (state) => {
  const tests = [];
  const text = state.text.trim().toLowerCase();
  if (text) tests.push((row, place) => texts[place].includes(text));
  if (state.label !== "") tests.push((row) => row[LABEL] === +state.label);
  if (state.class !== "") tests.push((row) => topClass(row) === +state.class);
  if (state.right !== "") tests.push((row) => row[RIGHT] === +state.right);
  if (state.status !== "") tests.push((row) => row[STATUS] === +state.status);
  if (state.note === "any") tests.push((row) => row[MAPS].some((map) => map[NOTES].length));
  else if (state.note === "none") tests.push((row) => !row[MAPS].some((map) => map[NOTES].length));
  else if (state.note !== "") tests.push((row) => row[MAPS].some((map) => map[NOTES].includes(+state.note)));
  const unit = lists.shares ? 100 : 1;
  const [low, high, least, most] = [state.confidenceFrom, state.confidenceTo, state.energyFrom, state.energyTo];
  const rounded = (value) => (value === null ? null : +(unit * value).toFixed(6));
  if (low !== null || high !== null) tests.push((row) => within(rounded(confidence(row)), low, high));
  if (least !== null || most !== null) tests.push((row) => within(energyOf(row, state.energyOf), least, most));
  return tests;
};

// The place of each text in alphabetical order, by which rows are sorted faster than by the texts.
const ranks = (list) => {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const order = [...list.keys()].sort((a, b) => collator.compare(list[a], list[b]));
  const found = new Float64Array(list.length);
  order.forEach((place, rank) => (found[place] = rank));
  return found;
};
let labelRanks, classRanks, nameRanks;
const nameOrder = () => {
  const order = [...rows.keys()].sort((a, b) => (rows[a][ID] < rows[b][ID] ? -1 : rows[a][ID] > rows[b][ID] ? 1 : a - b));
  const found = new Float64Array(rows.length);
  order.forEach((place, rank) => (found[place] = rank));
  return found;
};
const KEYS = {
  source: { text: "as in the source", key: () => (row, place) => place },
  name: {
    text: "name",
    key: () => ((nameRanks ??= nameOrder()), (row, place) => nameRanks[place]),
  },
  label: {
    text: "label",
    key: () => ((labelRanks ??= ranks(lists.labels)), (row) => (row[LABEL] < 0 ? null : labelRanks[row[LABEL]])),
  },
  class: {
    text: "prediction",
    key: () => ((classRanks ??= ranks(classTexts)), (row) => (topClass(row) < 0 ? null : classRanks[topClass(row)])),
  },
  right: { text: "wrong, then right", key: () => (row) => (row[RIGHT] < 0 ? null : row[RIGHT]) },
  confidence: { text: "confidence", key: () => confidence },
  energy: { text: "energy of the map", key: (state) => (row) => energyOf(row, state.energyOf) },
  notes: { text: "number of notes", key: () => (row) => -notesOf(row).length },
  status: { text: "status", key: () => (row) => row[STATUS] },
  ms: { text: "time taken", key: () => (row) => row[MS] ?? null },
};

// Return the places of the rows that are shown, in order. What has no value comes last, either way.
const chosen = (state) => {
  const tests = testsOf(state);
  const places = [];
  for (let place = 0; place < rows.length; place += 1)
    if (tests.every((test) => test(rows[place], place))) places.push(place);
  if (state.sort === "source" && state.up) return places;
  const key = KEYS[state.sort].key(state);
  const sign = state.up ? 1 : -1;
  const values = new Float64Array(rows.length);
  for (const place of places) {
    const value = key(rows[place], place);
    values[place] = value === null ? Infinity : sign * value;
  }
  return places.sort((a, b) => (values[a] === values[b] ? a - b : values[a] - values[b]));
};
