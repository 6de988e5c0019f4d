"use strict";
(() => {
  const data = JSON.parse(byId("data").textContent);
  const PER_PAGE = 12;

  // --- the table of numbers
  const table = byId("scores");
  const body = table.tBodies[0];
  const rows = [...body.rows];

  const sortBy = (heading) => {
    const button = heading.firstElementChild;
    const first = button.dataset.first === "down" ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const order = heading.getAttribute("aria-sort") === first ? other : first;
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => {
      const cell = row.cells[heading.cellIndex];
      if (heading.cellIndex === 0) return row.dataset.row;
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const keyed = rows.map((row) => [value(row), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // what was not judged comes last, either way
      return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
    });
    body.append(...keyed.map(([, row]) => row));
  };

  const filterRows = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden =
        !contains(row.dataset.row, byId("row-filter").value) || (row.dataset.kind === "reference" && !byId("references").checked);
      shown += !row.hidden;
    }
    const family = byId("family").value;
    for (const cell of table.querySelectorAll("[data-family]")) cell.hidden = family !== "" && cell.dataset.family !== family;
    byId("row-count").textContent = `${shown} of ${rows.length} rows`;
    showList();
  };

  const listed = () => {
    const names = new Set(rows.filter((row) => !row.hidden).map((row) => row.dataset.row));
    return data.rows.filter((row) => names.has(row.id));
  };

  // --- the plots: all are there, two are shown
  const figures = [...document.querySelectorAll(".plots figure")];
  const choices = (select, names) => select.append(...names.map((name) => element("option", { value: name, textContent: name })));
  const names = (key, kind) => [
    ...new Set(figures.filter((figure) => !kind || figure.dataset.kind === kind).map((figure) => figure.dataset[key])),
  ];
  const showPlots = () => {
    for (const figure of figures) {
      const { up, across, kind } = figure.dataset;
      figure.hidden = up !== byId("upward").value || (kind === "metric" && across !== byId("across").value);
    }
  };

  // --- the pictures: those of one page are drawn, all others stay in the data
  let order = [];
  let place = 0;
  const metricOf = () => byId("picture-metric").value;
  const meanOf = (index, metric) => {
    const values = data.rows
      .filter((row) => row.kind === "method" && row.values[metric])
      .map((row) => row.values[metric][index])
      .filter((value) => value !== null);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  };
  const direction = (metric) => (data.metrics.find((one) => one.name === metric)?.higher_is_better === false ? -1 : 1);

  const orderPictures = () => {
    const how = byId("picture-order").value;
    const needsOne = how === "worst" || how === "best";
    if (needsOne && metricOf() === "" && data.metrics.length) byId("picture-metric").value = data.metrics[0].name;
    const metric = metricOf();
    const key = (index) => {
      if (how === "given") return index;
      if (how === "apart") return data.apart[metric][index] === null ? Infinity : -data.apart[metric][index];
      const mean = meanOf(index, metric);
      return mean === null ? Infinity : (how === "worst" ? 1 : -1) * direction(metric) * mean;
    };
    const part = byId("picture-filter").value;
    order = data.images
      .map((image, index) => [key(index), index])
      .filter(([, index]) => contains(`${data.images[index].id} ${data.images[index].label ?? ""}`, part))
      .sort(([a, i], [b, j]) => (a === b ? i - j : a - b))
      .map(([, index]) => index);
    place = 0;
    showList();
  };

  const frame = (index, row) => {
    const picture = data.pictures[index];
    const made = element("button", { type: "button", className: "frame" });
    made.setAttribute("aria-label", `${row ? row.id : "the picture"}: ${data.images[index].id}, larger`);
    if (picture === null) {
      made.append(element("span", { className: "missing", textContent: "no picture" }));
    } else {
      made.append(element("img", { src: picture.image, alt: "", decoding: "async", loading: "lazy" }));
      if (row && picture.maps[row.id])
        made.append(element("img", { src: picture.maps[row.id], alt: "", className: "map", decoding: "async", loading: "lazy" }));
      else if (row) made.append(element("span", { className: "missing", textContent: "no map" }));
    }
    return made;
  };

  const maps = (index, onClick) => {
    const metric = metricOf();
    const cells = [null, ...listed()].map((row) => {
      const shown = frame(index, row);
      shown.addEventListener("click", onClick);
      const value = row && metric && row.values[metric] ? ` ${metric} ${number(row.values[metric][index])}` : "";
      return element("figure", {}, [
        shown,
        element("figcaption", {}, [row ? row.id : "picture", element("small", { textContent: value })]),
      ]);
    });
    return element("div", { className: "maps" }, cells);
  };

  const titleOf = (index) => {
    const image = data.images[index];
    const label = image.label ?? (image.class === null || image.class === undefined ? "" : `class ${image.class}`);
    const score = image.score === null || image.score === undefined ? "" : ` (${number(image.score)})`;
    return image.id + (label ? ` · ${label}${score}` : "");
  };

  const showList = () => {
    const pages = Math.max(1, Math.ceil(order.length / PER_PAGE));
    place = Math.min(Math.max(place, 0), pages - 1);
    const from = place * PER_PAGE;
    const here = order.slice(from, from + PER_PAGE);
    byId("picture-list").replaceChildren(
      ...here.map((index, offset) =>
        element("article", {}, [element("h3", { textContent: titleOf(index) }), maps(index, () => open(from + offset))]),
      ),
    );
    byId("picture-count").textContent = order.length
      ? `${from + 1} to ${from + here.length} of ${order.length}`
      : "no picture of that name";
    for (const button of document.querySelectorAll(".pager button"))
      button.disabled = button.dataset.step === "-1" ? place === 0 : place >= pages - 1;
  };

  // --- one picture, larger, with all its numbers
  const viewer = byId("viewer");
  let opened = 0;
  const numbers = (index) => {
    const heads = ["method and layer", ...data.metrics.map((metric) => metric.name)];
    const lines = listed().map((row) =>
      element("tr", {}, [
        element("th", { scope: "row", textContent: row.id }),
        ...data.metrics.map((metric) =>
          element("td", { textContent: number(row.values[metric.name] ? row.values[metric.name][index] : null) }),
        ),
      ]),
    );
    const head = element("thead", {}, [
      element("tr", {}, heads.map((name) => element("th", { scope: "col", textContent: name }))),
    ]);
    return element("div", { className: "wide", tabIndex: 0 }, [element("table", {}, [head, element("tbody", {}, lines)])]);
  };
  const open = (position) => {
    opened = Math.min(Math.max(position, 0), order.length - 1);
    const index = order[opened];
    byId("viewer-title").textContent = titleOf(index);
    byId("viewer-body").replaceChildren(maps(index, () => viewer.close()), numbers(index));
    for (const button of viewer.querySelectorAll("[data-step]"))
      button.disabled = button.dataset.step === "-1" ? opened === 0 : opened === order.length - 1;
    if (!viewer.open) viewer.showModal();
  };

  // --- what is clicked and typed
  for (const heading of table.tHead.rows[0].cells) heading.firstElementChild.addEventListener("click", () => sortBy(heading));
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["row-filter", "references", "family"]) byId(id).addEventListener("input", filterRows);
  for (const id of ["picture-filter", "picture-metric", "picture-order"]) byId(id).addEventListener("input", orderPictures);
  for (const id of ["upward", "across"]) byId(id).addEventListener("input", showPlots);
  byId("strength").addEventListener("input", (event) =>
    document.documentElement.style.setProperty("--strength", event.target.value / 100),
  );
  for (const button of document.querySelectorAll(".pager button"))
    button.addEventListener("click", () => {
      place += Number(button.dataset.step);
      showList();
      byId("pictures").scrollIntoView();
    });
  for (const button of viewer.querySelectorAll("[data-step]"))
    button.addEventListener("click", () => open(opened + Number(button.dataset.step)));
  byId("close").addEventListener("click", () => viewer.close());
  byId("pair-filter").addEventListener("input", (event) => {
    for (const row of byId("differences").tBodies[0].rows) row.hidden = !contains(row.textContent, event.target.value);
  });

  choices(byId("upward"), names("up"));
  choices(byId("across"), names("across", "metric"));
  byId("across-label").hidden = byId("across").options.length === 0;
  byId("picture-metric").append(element("option", { value: "", textContent: "all" }));
  choices(byId("picture-metric"), data.metrics.map((metric) => metric.name));
  showPlots();
  filterRows();
  orderPictures();
})();
