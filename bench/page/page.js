"use strict";
// Draws the plots that the page carries as JSON: one value of each side, round by round.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? "#f0f6fc" : "#1f2328";
  const grid = {stroke: dark ? "#3d444d" : "#d1d9e0", width: 1};
  const colours = ["#2f81f7", "#e8590c", "#2da44e", "#a371f7", "#bf8700", "#db61a2"];
  for (const plot of JSON.parse(document.getElementById("plots").textContent) || []) {
    const longest = Math.max(...plot.series.map(s => s.values.length));
    const rounds = Array.from({length: longest}, (_, i) => i + 1);
    const values = plot.series.map(s => rounds.map((_, i) => i < s.values.length ? s.values[i] : null));
    const sides = plot.series.map((s, i) => ({
      label: s.name,
      stroke: colours[i % colours.length],
      width: 2,
      points: {show: true, size: 6},
    }));
    new uPlot({
      title: plot.title,
      width: 370,
      height: 240,
      scales: {x: {time: false}, y: {range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1]}},
      axes: [
        {stroke: ink, grid, ticks: grid, incrs: [1, 2, 5, 10, 20, 50, 100, 1000]},
        {stroke: ink, grid, ticks: grid, size: 64},
      ],
      series: [{label: "round"}, ...sides],
    }, [rounds, ...values], document.getElementById(plot.id));
  }
})();
