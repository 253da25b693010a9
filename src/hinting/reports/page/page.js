const views = [];
const { figures, datasets, config } = JSON.parse(document.getElementById("specs").textContent);
const options = {
  renderer: "svg", tooltip: { theme: "custom" },
  actions: { export: true, source: false, compiled: false, editor: false },
};

const drawn = [...document.querySelectorAll(".chart")].map(async (place) => {
  const part = figures[place.dataset.figure][Number(place.dataset.part)];
  const spec = { ...part, config, datasets: Object.fromEntries(part.datasets.map((name) => [name, datasets[name]])) };
  const embedded = await window.vegaEmbed(place, spec, { ...options, downloadFileName: place.dataset.figure });
  embedded.view.logLevel(1); // from now on errors only: figures of which a filter leaves nothing have no extent
  views.push(embedded.view);
});

function set(name, value) {
  for (const view of views) {
    if (name in view.getState().signals) view.signal(name, value).runAsync();
  }
}

const groups = [...document.querySelectorAll("#legend [data-signal]")];
const buttonsOf = (group) => [...group.querySelectorAll("button")];

function show(changed) {
  const shown = groups.map((group) => {
    const pressed = buttonsOf(group).filter((button) => button.ariaPressed === "true").map((button) => button.value);
    return group.dataset.axis === undefined ? pressed : pressed.map(Number);
  });
  for (const one of document.querySelectorAll("[data-strategy]")) {
    one.classList.toggle("hidden", !shown[0].includes(one.dataset.strategy));
  }
  const byAxis = new Map(groups.map((group, i) => [Number(group.dataset.signal.slice(5)), shown[i]]));
  for (const one of document.querySelectorAll("[data-levels]")) {
    const levels = JSON.parse(one.dataset.levels);
    one.classList.toggle("hidden", levels.some((level, axis) => level >= 0 && byAxis.has(axis) && !byAxis.get(axis).includes(level)));
  }
  const restricted = groups.filter((group, i) => shown[i].length < buttonsOf(group).length);
  const words = restricted.map((group) => `${group.dataset.axis} `
    + buttonsOf(group).filter((button) => button.ariaPressed === "true").map((button) => button.textContent).join(", "));
  const note = document.getElementById("restricted");
  if (note) {
    note.textContent = words.length ? words.join("; ") : "all settings";
    document.getElementById("filters").classList.toggle("restricted", words.length > 0);
  }
  set(changed.dataset.signal, shown[groups.indexOf(changed)]);
}

for (const group of groups) {
  const buttons = buttonsOf(group);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
      if (buttons.every((one) => one.ariaPressed === "false")) for (const one of buttons) one.ariaPressed = "true";
      show(group);
    });
  }
}

document.getElementById("metric")?.addEventListener("change", (event) => set("metric", event.target.value));

document.getElementById("filter")?.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const body of document.querySelectorAll("#metrics-table tbody")) {
    const rows = [...body.querySelectorAll(".metric")];
    for (const row of rows) {
      const text = (row.dataset.words ?? `${row.cells[0].textContent} ${row.cells[0].title}`).toLowerCase();
      row.classList.toggle("filtered", !words.every((word) => text.includes(word)));
      row.hidden = row.classList.contains("filtered");
    }
    body.hidden = rows.every((row) => row.hidden);
  }
});

let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("main > section details:not([open])")];
  for (const one of opened) one.open = true;
});
window.addEventListener("afterprint", () => { for (const one of opened) one.open = false; });

Promise.all(drawn).then(() => { document.documentElement.dataset.ready = "yes"; });
