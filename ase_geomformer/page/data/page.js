"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

// plotly.js travels compressed, and is run from memory.
async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(stream).text();
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  await new Promise((done, failed) => {
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return { text: style.getPropertyValue("--text").trim(), line: style.getPropertyValue("--line").trim() };
}

// The buttons of a chart, in the colours of the page.
const buttons = (text) => ({ bgcolor: "rgba(0,0,0,0)", color: "#8f98a3", activecolor: text });
// Without the button that sends a chart to a server.
const options = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["sendChartToCloud"] };

function drawChart(place, chart) {
  const { text, line } = colours();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, exponentformat: "power" };
  const layout = {
    ...chart.layout,
    xaxis: { ...axis, ...chart.layout.xaxis },
    yaxis: { ...axis, ...chart.layout.yaxis },
    margin: { l: 56, r: 12, t: 10, b: 44 },
    font: { color: text, size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    hovermode: "closest",
    modebar: buttons(text),
  };
  Plotly.react(place, chart.traces, layout, options);
}

// Two atoms are joined where they are closer than the sum of their radii allows.
function bonds(view, positions) {
  const ends = { x: [], y: [], z: [] };
  if (positions.length > 600) return ends;
  const radii = view.symbols.map((symbol) => view.elements[symbol].radius);
  for (let i = 0; i < positions.length; i++) {
    for (let j = 0; j < i; j++) {
      const reach = 1.2 * (radii[i] + radii[j]);
      const [a, b] = [positions[i], positions[j]];
      if ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2 < reach ** 2) {
        ends.x.push(a[0], b[0], null);
        ends.y.push(a[1], b[1], null);
        ends.z.push(a[2], b[2], null);
      }
    }
  }
  return ends;
}

function box(cell) {
  const corner = (n) => [0, 1, 2].map((k) => [0, 1, 2].reduce((sum, v) => sum + ((n >> v) & 1) * cell[v][k], 0));
  const ends = { x: [], y: [], z: [] };
  for (let n = 0; n < 8; n++) {
    for (let v = 0; v < 3; v++) {
      if ((n >> v) & 1) continue;
      const [a, b] = [corner(n), corner(n | (1 << v))];
      ends.x.push(a[0], b[0], null);
      ends.y.push(a[1], b[1], null);
      ends.z.push(a[2], b[2], null);
    }
  }
  return ends;
}

function atomTraces(view, positions) {
  // Markers have a size on the screen; this one suits the extent of the structure.
  const extent = Math.max(4, ...[0, 1, 2].map((k) => {
    const along = positions.map((p) => p[k]);
    return Math.max(...along) - Math.min(...along);
  }));
  const scale = Math.max(3, 125 / extent);
  return Object.entries(view.elements).map(([symbol, look]) => {
    const own = view.symbols.map((s, i) => i).filter((i) => view.symbols[i] === symbol);
    return {
      type: "scatter3d", mode: "markers", name: symbol,
      x: own.map((i) => positions[i][0]), y: own.map((i) => positions[i][1]), z: own.map((i) => positions[i][2]),
      text: own.map((i) => `${symbol} ${i}`),
      hovertemplate: "%{text}<br>%{x:.3f}, %{y:.3f}, %{z:.3f} Å<extra></extra>",
      marker: { size: Math.min(40, scale * look.radius), color: look.colour, line: { color: "#444444", width: 1 }, opacity: 1 },
    };
  });
}

const lineTrace = (ends, colour, width) =>
  ({ type: "scatter3d", mode: "lines", ...ends, line: { color: colour, width }, hoverinfo: "skip", showlegend: false });

function viewTraces(view, frame) {
  const positions = view.frames[frame];
  const traces = [lineTrace(bonds(view, positions), "#8f98a3", 6), ...atomTraces(view, positions)];
  if (view.cell) traces.push(lineTrace(box(view.cell), "#8f98a3", 2));
  return traces;
}

function drawView(place, view, frame) {
  const { text } = colours();
  const hidden = { visible: false };
  const layout = {
    scene: { xaxis: hidden, yaxis: hidden, zaxis: hidden, aspectmode: "data", dragmode: "orbit",
             camera: { projection: { type: "orthographic" }, eye: { x: 1.7, y: 0.9, z: 0.6 } } },
    margin: { l: 0, r: 0, t: 0, b: 0 },
    font: { color: text, size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    legend: { orientation: "h", itemsizing: "constant", y: 0 },
    uirevision: "kept",
    modebar: buttons(text),
  };
  return Plotly.react(place, viewTraces(view, frame), layout, options);
}

function addFrames(panel, place, view) {
  const [button, slider, output] = panel.children;
  const count = view.frames.length;
  const show = (frame) => {
    slider.value = frame;
    output.textContent = `${frame + 1} of ${count}`;
    drawView(place, view, frame);
  };
  let timer = null;
  slider.max = count - 1;
  slider.addEventListener("input", () => show(Number(slider.value)));
  button.addEventListener("click", () => {
    if (timer) {
      clearInterval(timer);
      timer = null;
    } else {
      timer = setInterval(() => show((Number(slider.value) + 1) % count), 150);
    }
    button.textContent = timer ? "❚❚" : "▶";
  });
  output.textContent = `1 of ${count}`;
  panel.hidden = false;
}

function drawAll() {
  read("charts").forEach((chart, i) => drawChart(document.getElementById(`chart-${i}`), chart));
  read("views").forEach((view, i) => {
    if (view) drawView(document.getElementById(`view-${i}`), view, 0);
  });
}

async function main() {
  await loadPlotly();
  drawAll();
  read("views").forEach((view, i) => {
    const panel = document.getElementById(`frames-${i}`);
    if (view && view.frames.length > 1) addFrames(panel, document.getElementById(`view-${i}`), view);
  });
  dark.addEventListener("change", drawAll);
  document.body.dataset.drawn = "yes";
}

main();
