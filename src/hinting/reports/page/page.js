const views = [];
const specs = JSON.parse(document.getElementById("specs").textContent);
const options = {
  renderer: "svg", tooltip: { theme: "custom" },
  actions: { export: true, source: false, compiled: false, editor: false },
};

const drawn = [...document.querySelectorAll(".chart")].map(async (place) => {
  const spec = specs[place.dataset.figure][Number(place.dataset.part)];
  const embedded = await window.vegaEmbed(place, spec, { ...options, downloadFileName: place.dataset.figure });
  views.push(embedded.view);
});

const buttons = [...document.querySelectorAll("#legend button")];

function show() {
  const shown = buttons.filter((button) => button.ariaPressed === "true").map((button) => button.value);
  for (const one of document.querySelectorAll("[data-strategy]")) {
    one.classList.toggle("hidden", !shown.includes(one.dataset.strategy));
  }
  for (const view of views) {
    if ("shown" in view.getState().signals) view.signal("shown", shown).runAsync();
  }
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
    if (buttons.every((one) => one.ariaPressed === "false")) for (const one of buttons) one.ariaPressed = "true";
    show();
  });
}

document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const body of document.querySelectorAll("#metrics-table tbody")) {
    const rows = [...body.querySelectorAll(".metric")];
    for (const row of rows) {
      const text = `${row.cells[0].textContent} ${row.cells[0].title}`.toLowerCase();
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
