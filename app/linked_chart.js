// A Plotly chart that keeps its place: new data is drawn into the same picture, so zoom and pan survive, and
// what a person brushes (box, lasso, point) is sent to the server as a shape, never point by point.

const CHARTS = new WeakMap();
let library = null;

function plotly(source) {
  library ??= new Promise((resolve, reject) => {
    if (window.Plotly) { resolve(window.Plotly); return; }
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { library = null; script.remove(); reject(new Error("library")); };
    document.head.append(script);
  });
  return library;
}

// What was drawn, in the coordinates of the axes: a range of x and y, or the corners of an outline.
// Plotly names them after the axes of the panel that was drawn in: x and y in the first, x2 and y2 in the next.
function gesture(event) {
  const drawn = event?.lassoPoints ?? event?.range;
  if (!drawn) return null;
  const along = (letter) => drawn[Object.keys(drawn).find((axis) => axis.startsWith(letter))];
  const [x, y] = [along("x"), along("y")];
  if (!x || !y) return null;
  if (event.lassoPoints) return { kind: "lasso", vertices: x.map((each, index) => [each, y[index]]) };
  return { kind: "box", x, y };
}

function listen(chart) {
  const { host } = chart;
  host.on("plotly_selected", (event) => {
    const drawn = gesture(event);
    if (drawn) chart.send("gesture", drawn);
  });
  host.on("plotly_doubleclick", () => { if (chart.brushed) chart.send("gesture", { kind: "clear" }); });
  host.on("plotly_click", (event) => {
    const point = event?.points?.find((each) => each.customdata !== undefined);
    if (point && chart.clickable) chart.send("gesture", { kind: "point", data: Array.from(point.customdata) });
  });
}

async function draw(chart, data) {
  const turn = (chart.turn = Symbol());
  const figure = JSON.parse(data.figure);
  chart.brushed = data.brushed;
  chart.clickable = data.clickable;
  // The person's own selection is a gesture that the server has answered by now; it must not be kept.
  chart.revision += 1;
  figure.layout.selectionrevision = chart.revision;
  figure.layout.selections = [];
  figure.layout.autosize = true;
  const config = { ...data.config, responsive: true };
  let Plotly;
  try {
    Plotly = await plotly(data.library);
  } catch {
    chart.host.textContent = "The chart library could not be loaded. Reload the page.";
    return;
  }
  if (!chart.host.isConnected || chart.turn !== turn) return;
  await Plotly.react(chart.host, figure.data, figure.layout, config);
  if (!chart.listening) { chart.listening = true; listen(chart); }
  chart.host.setAttribute("aria-label", data.alt);
  chart.host.dataset.drawn = String(chart.revision);
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let chart = CHARTS.get(parentElement);
  if (!chart) {
    const host = parentElement.querySelector(".bp-linked");
    const remove = () => setTimeout(() => {
      if (host.isConnected) return;
      window.Plotly?.purge(host);
      CHARTS.delete(parentElement);
    });
    chart = { host, remove, revision: 0, listening: false, figure: null };
    CHARTS.set(parentElement, chart);
  }
  chart.send = setTriggerValue;
  // The same figure again needs no drawing: most runs of a page leave most of its charts as they are.
  if (chart.figure !== data.figure) {
    chart.figure = data.figure;
    draw(chart, data);
  }
  return chart.remove;
}
