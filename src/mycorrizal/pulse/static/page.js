"use strict";
// Shows what the node tells by server-sent events: "samples" once, then "board".
(() => {
  const SAMPLES_MAX = 300;
  const id = (name) => document.getElementById(name);
  const none = "–";
  const number = (value, digits = 0) => (value === null || value === undefined ? none
    : value.toLocaleString("en", { maximumFractionDigits: digits }));
  const bytes = (value) => {
    if (value === null || value === undefined) return none;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = 0;
    while (value >= 1024 && step < units.length - 1) { value /= 1024; step += 1; }
    return `${number(value, step ? 1 : 0)} ${units[step]}`;
  };
  const time = (seconds) => {
    if (seconds === null || seconds === undefined) return none;
    if (seconds < 90) return `${number(seconds, seconds < 1 ? 3 : 0)} s`;
    if (seconds < 5400) return `${number(seconds / 60)} min`;
    return seconds < 172800 ? `${number(seconds / 3600, 1)} h` : `${number(seconds / 86400, 1)} d`;
  };
  const rtt = (value) => (value === null || value === undefined ? none : `${value.toFixed(2)} ms`);
  const make = (name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const cell = (row, title, text, className) => {
    const found = make("td", text, className);
    found.dataset.name = title;
    row.append(found);
    return found;
  };
  const head = (row, text, more) => {
    const found = make("th", text);
    found.scope = "row";
    if (more) found.append(" ", make("span", more, "address"));
    row.append(found);
  };
  const share = (row, title, value, name) => {
    const found = cell(row, title);
    if (value === null) { found.append(none); return; }
    const box = make("span"), meter = make("meter");
    meter.value = value;
    meter.setAttribute("aria-label", `${title} of ${name}`);
    box.append(meter, `${number(value * 100, 1)} %`);
    found.append(box);
  };

  const concerns = (board) => {
    const rows = board.concerns.map((each) => {
      const row = make("li", undefined, `concern ${each.level}`);
      row.append(make("strong", each.text), make("span", each.advice));
      return row;
    });
    if (!rows.length) rows.push(make("li", "Nothing to warn of.", "concern none"));
    const list = id("concerns"), before = list.textContent;
    // Left alone while it says the same, so that nothing reads it out again.
    if (before !== rows.map((row) => row.textContent).join("")) list.replaceChildren(...rows);
  };
  const nodeRow = (board, node) => {
    const row = make("tr", undefined, node.state === "alive" ? "" : "off");
    row.dataset.node = node.id;
    head(row, node.id + (node.id === board.me ? " (this)" : ""), node.address);
    cell(row, "State", node.state, `state ${node.state}`);
    cell(row, "Link", node.link || none);
    cell(row, "Round trip", rtt(node.rtt_ms), "n");
    cell(row, "Slots", number(node.slots), "n");
    cell(row, "Values", number(node.entries), "n");
    cell(row, "Memory", bytes(node.size_bytes), "n");
    cell(row, "Gets/s", number(node.gets_per_s, 1), "n");
    cell(row, "Puts/s", number(node.puts_per_s, 1), "n");
    cell(row, "Traffic/s", bytes(node.bytes_per_s), "n");
    cell(row, "Up for", time(node.uptime_s), "n");
    cell(row, "Version", node.version || none);
    return row;
  };
  const bucketRow = (bucket) => {
    const row = make("tr");
    head(row, bucket.name);
    cell(row, "Values", number(bucket.entries), "n");
    cell(row, "Memory", bytes(bucket.size_bytes), "n");
    share(row, "Full", bucket.full, bucket.name);
    share(row, "Hit ratio", bucket.hit_ratio, bucket.name);
    cell(row, "Reads", number(bucket.hits + bucket.misses), "n");
    cell(row, "Evicted", number(bucket.evicted), "n");
    cell(row, "Expired", number(bucket.expired), "n");
    cell(row, "Replicas", number(bucket.replicas), "n");
    cell(row, "TTL", bucket.ttl_s === null ? "for ever" : time(bucket.ttl_s), "n");
    return row;
  };
  const empty = (text, columns) => {
    const row = make("tr"), found = cell(row, "", text);
    found.colSpan = columns;
    return row;
  };
  const eventRow = (each) => {
    const row = make("li"), at = new Date(each.at * 1000), stamp = make("time");
    stamp.dateTime = at.toISOString();
    stamp.textContent = at.toLocaleTimeString("en-GB");
    row.className = each.level;
    row.append(stamp, each.text);
    return row;
  };
  const show = (board) => {
    document.title = `${board.concerns.length ? `(${board.concerns.length}) ` : ""}${board.cluster} · Mycorrizal`;
    id("cluster").textContent = board.cluster;
    const alive = board.nodes.filter((node) => node.state === "alive").length;
    id("summary").textContent = `${alive} of ${board.nodes.length} nodes alive, as ${board.me} sees it`
      + ` · version ${board.version}`
      + (board.known < alive ? ` · figures of ${board.known} nodes` : "");
    concerns(board);
    window.drawPicture(id("picture"), board);
    id("node-rows").replaceChildren(...board.nodes.map((node) => nodeRow(board, node)));
    id("bucket-rows").replaceChildren(...(board.buckets.length ? board.buckets.map(bucketRow)
      : [empty("There are no buckets yet.", 10)]));
    id("events").replaceChildren(...board.happenings.slice().reverse().map(eventRow));
    if (board.sample) { add({ ...board.sample, total: board.total }); redraw(); }
  };

  // -- charts -------------------------------------------------------------------
  const CHARTS = [
    { title: "Whole cluster: cache", format: (v) => `${number(v, 1)}/s`,
      lines: [["gets", "gets_per_s"], ["puts", "puts_per_s"]], whole: true },
    { title: "Whole cluster: sent", format: (v) => `${bytes(v)}/s`, lines: [["bytes", "bytes_per_s"]], whole: true },
    { title: "Cache", format: (v) => `${number(v, 1)}/s`, lines: [["gets", "gets_per_s"], ["puts", "puts_per_s"]] },
    { title: "Frames", format: (v) => `${number(v, 1)}/s`, lines: [["in", "frames_in_per_s"], ["out", "frames_out_per_s"]] },
    { title: "Bytes", format: (v) => `${bytes(v)}/s`, lines: [["in", "bytes_in_per_s"], ["out", "bytes_out_per_s"]] },
    { title: "Operations elsewhere", format: (v) => rtt(v), lines: [["p50", "p50_ms"], ["p99", "p99_ms"]] },
    { title: "Reactor is late by", format: (v) => rtt(v), lines: [["worst", "lag_ms"]] },
  ];
  let samples = [];
  const add = (sample) => {
    if (samples.length && sample.at <= samples[samples.length - 1].at) return;
    samples.push(sample);
    if (samples.length > SAMPLES_MAX) samples = samples.slice(-SAMPLES_MAX);
  };
  // Of the whole cluster there is nothing from before somebody looked on.
  const value = (chart, sample, field) => (chart.whole ? sample.total?.[field] ?? null : sample[field]);
  const data = (chart) => [samples.map((each) => each.at),
    ...chart.lines.map(([, field]) => samples.map((each) => value(chart, each, field)))];
  const drawn = [];
  const build = () => {
    drawn.splice(0).forEach(({ plot }) => plot.destroy());
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false }, font: "11px system-ui, sans-serif" };
    id("charts").replaceChildren();
    // All in place first: how wide each is depends on the others.
    const places = CHARTS.map((chart) => {
      const figure = make("figure"), caption = make("figcaption", chart.title), now = make("span");
      caption.append(now);
      figure.append(caption);
      id("charts").append(figure);
      return { chart, figure, now };
    });
    for (const { chart, figure, now } of places) {
      const plot = new uPlot({ width: Math.max(200, figure.clientWidth), height: 140,
        legend: { show: false }, cursor: { show: false },
        scales: { y: { range: (self, low, high) => [0, Math.max(1, (high || 0) * 1.1)] } },
        axes: [{ ...axis, space: 70, values: (self, at) => at.map((each) =>
          new Date(each * 1000).toLocaleTimeString("en-GB")) },
          { ...axis, size: 76, space: 30, values: (self, values) => values.map(chart.format) }],
        series: [{}, ...chart.lines.map(([label], index) => ({ label, width: 1.5, spanGaps: false,
          stroke: colour(index ? "--two" : "--one"), dash: index ? [5, 3] : [], points: { show: false } }))],
      }, data(chart), figure);
      plot.root.setAttribute("aria-hidden", "true");
      drawn.push({ chart, plot, now });
    }
    id("charts").dataset.width = innerWidth;
    redraw();
  };
  const redraw = () => {
    const last = samples[samples.length - 1];
    for (const { chart, plot, now } of drawn) {
      plot.setData(data(chart));
      now.textContent = last ? chart.lines.map(([label, field]) => {
        const found = value(chart, last, field);
        return `${label} ${found === null ? none : chart.format(found)}`;
      }).join(", ") : "";
    }
  };
  build();
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(build, 200); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);

  // -- the stream ---------------------------------------------------------------
  const state = (name, text) => { id("connection").className = name; id("connection").textContent = text; };
  const stream = new EventSource("events");
  stream.addEventListener("samples", (event) => { samples = JSON.parse(event.data); redraw(); });
  stream.addEventListener("board", (event) => { state("live", "live"); show(JSON.parse(event.data)); });
  stream.addEventListener("error", () => {
    const over = stream.readyState === EventSource.CLOSED;
    state("lost", over ? "not connected: load the page again" : "the node does not answer; trying again");
  });
})();
