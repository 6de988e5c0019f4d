// What is seen at a glance: how many are right, wrong, without a map; how sure the network is; what it confuses.
const FEW_PAIRS = 8;
const MANY_PAIRS = 300;
const BINS = 20;

// What the tiles say and, as far as they are buttons, what they ask for.
const tiles = () => {
  let [right, wrong, failed, skipped, noted] = [0, 0, 0, 0, 0];
  for (const row of rows) {
    right += row[RIGHT] === 1;
    wrong += row[RIGHT] === 0;
    failed += isFailed(row);
    skipped += isSkipped(row);
    noted += row[MAPS].some((map) => map[NOTES].length);
  }
  const share = right + wrong ? ` (${((100 * right) / (right + wrong)).toFixed(1)} %)` : "";
  const status = (name) => ({ status: String(lists.statuses.indexOf(name)) });
  const found = [{ kind: "", count: rows.length, text: "all", asks: {} }];
  if (right + wrong) {
    found.push({ kind: "good", count: right, text: `right${share}`, asks: { right: "1" } });
    found.push({ kind: "bad", count: wrong, text: "wrong", asks: { right: "0" } });
  }
  if (noted) found.push({ kind: "", count: noted, text: "with notes", asks: { note: "any" } });
  if (failed) found.push({ kind: "bad", count: failed, text: "failed", asks: status("failed") });
  if (skipped) found.push({ kind: "", count: skipped, text: "not asked for", asks: status("skipped") });
  return found;
};

const showTiles = (ask) =>
  byId("tiles").replaceChildren(
    ...tiles().map(({ kind, count, text, asks }) => {
      const made = element("button", { type: "button", className: `tile-button ${kind}` }, [
        element("b", { textContent: count.toLocaleString("en") }),
        element("span", { textContent: text }),
      ]);
      made.addEventListener("click", () => ask(asks));
      return made;
    }),
  );

const svg = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

// How often each confidence occurs: wrong ones below, the others on top. A bar asks for its own pictures.
const showHistogram = (ask) => {
  byId("histogram").hidden = !lists.shares;
  const [wrong, other] = [Array(BINS).fill(0), Array(BINS).fill(0)];
  for (const row of rows) {
    const value = confidence(row);
    if (value !== null) (row[RIGHT] === 0 ? wrong : other)[Math.min(Math.floor(value * BINS), BINS - 1)] += 1;
  }
  const most = Math.max(1, ...wrong.map((count, bin) => count + other[bin]));
  const height = (count) => (count ? Math.max((44 * count) / most, 1.5) : 0);
  const drawn = svg("svg", { viewBox: "0 0 200 58", role: "img" });
  const half = rows.filter((row) => confidence(row) !== null && confidence(row) >= 0.5).length;
  drawn.setAttribute("aria-label", `How often each confidence occurs: ${half} of ${rows.length} pictures have 50 % or more`);
  for (let bin = 0; bin < BINS; bin += 1) {
    const [low, high] = [height(wrong[bin]), height(other[bin])];
    const bar = svg("g", { class: "bin" });
    bar.append(
      svg("rect", { x: bin * 10, y: 0, width: 10, height: 46, class: "space" }),
      svg("rect", { x: bin * 10 + 0.5, y: 46 - low, width: 9, height: low, class: "wrong" }),
      svg("rect", { x: bin * 10 + 0.5, y: 46 - low - high, width: 9, height: high, class: "other" }),
    );
    const title = svg("title", {});
    const [from, to] = [(100 / BINS) * bin, (100 / BINS) * (bin + 1)];
    title.textContent = `${from} to ${to} %: ${plural(wrong[bin] + other[bin], "picture")}, ${wrong[bin]} wrong`;
    bar.append(title);
    bar.addEventListener("click", () => ask({ confidenceFrom: from, confidenceTo: to }));
    drawn.append(bar);
  }
  for (const [x, anchor, text] of [[0, "start", "0 %"], [100, "middle", "50 %"], [200, "end", "100 %"]]) {
    const label = svg("text", { x, y: 56, "text-anchor": anchor });
    label.textContent = text;
    drawn.append(label);
  }
  byId("histogram").replaceChildren(drawn);
};

// Pairs of what a picture shows and what the network sees instead, the most frequent first.
const confusedPairs = () => {
  const counts = new Map();
  for (const row of rows) {
    if (row[RIGHT] !== 0) continue;
    const key = `${row[LABEL]} ${topClass(row)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => [...key.split(" "), count]).sort((a, b) => b[2] - a[2]);
};

const showPairs = (ask) => {
  const pairs = confusedPairs();
  const judged = rows.some((row) => row[RIGHT] >= 0);
  const labelled = rows.some((row) => row[LABEL] >= 0);
  const why = labelled ? "No label is a class of the network, so none is right or wrong." : "The pictures have no labels.";
  byId("confusion-empty").textContent = pairs.length ? "What it shows → what the network sees" : judged ? "No picture is wrong." : why;
  const most = pairs.length ? pairs[0][2] : 1;
  const draw = (limit) => {
    byId("pairs").replaceChildren(
      ...pairs.slice(0, limit).map(([label, top, count]) => {
        const made = element("button", { type: "button", className: "pair" }, [
          element("span", { className: "names" }, [
            element("bdi", { textContent: lists.labels[label] }),
            element("span", { textContent: " → " }),
            element("bdi", { textContent: classTexts[top] }),
          ]),
          element("b", { textContent: String(count) }),
        ]);
        made.style.setProperty("--part", `${(100 * count) / most}%`);
        made.dataset.pair = `${label} ${top}`;
        made.addEventListener("click", () => ask({ label, class: top }));
        return element("li", {}, [made]);
      }),
    );
    byId("more-pairs").hidden = limit >= Math.min(pairs.length, MANY_PAIRS);
  };
  byId("more-pairs").textContent = `More of ${plural(pairs.length, "pair")}`;
  byId("more-pairs").onclick = () => draw(MANY_PAIRS);
  draw(FEW_PAIRS);
};

// Mark what of all this is being asked for.
const markAsked = (state) => {
  for (const button of byId("pairs").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset.pair === `${state.label} ${state.class}`));
};
