// Draws the plots of the dashboard with Chart.js, in the page's colours, light or dark.
(() => {
  const data = JSON.parse(document.getElementById("plots-data").textContent);
  const drawn = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const dataset = (line, place, plot) => {
    const own = colour(`--plot-${place + 1}`);
    return {
      label: line.label, data: line.values, borderColor: own,
      backgroundColor: plot.kind === "bar" ? own : `${own}22`,
      borderWidth: plot.kind === "bar" ? 0 : 2, pointRadius: 0, pointHitRadius: 12,
      fill: plot.kind === "line", tension: 0.25, spanGaps: true, borderRadius: 2,
    };
  };

  const draw = (canvas) => {
    const plot = data[canvas.dataset.plot];
    const grid = colour("--line"), ink = colour("--faint");
    return new Chart(canvas, {
      type: plot.kind,
      data: { labels: plot.labels, datasets: plot.lines.map((line, place) => dataset(line, place, plot)) },
      options: {
        animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
        plugins: {
          legend: { display: plot.lines.length > 1, position: "bottom", labels: { color: ink, boxWidth: 12 } },
          tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${item.formattedValue}${plot.unit === "%" ? " %" : ""}` } },
        },
        scales: {
          x: { stacked: plot.stacked, grid: { display: false }, border: { color: grid }, ticks: { color: ink, maxTicksLimit: 8, maxRotation: 0 } },
          y: { stacked: plot.stacked, beginAtZero: true, max: plot.most ?? undefined, grid: { color: grid }, border: { display: false }, ticks: { color: ink, precision: 0, maxTicksLimit: 6 } },
        },
      },
    });
  };

  const redraw = () => {
    drawn.splice(0).forEach((chart) => chart.destroy());
    document.querySelectorAll("canvas[data-plot]").forEach((canvas) => drawn.push(draw(canvas)));
  };

  Chart.defaults.font.family = "Inter, system-ui, sans-serif";
  redraw();
  new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
})();
