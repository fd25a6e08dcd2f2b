"use strict";
// Members on a circle, and the links between them.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const make = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const KNOWN = ["alive", "suspect", "dead"];
  const LABELLED_MAX = 40;
  const short = (name) => (name.length > 18 ? name.slice(0, 17) + "…" : name);

  window.drawPicture = (svg, board) => {
    const nodes = board.nodes, places = new Map();
    const radius = nodes.length === 1 ? 0 : 105;
    nodes.forEach((node, index) => {
      const turn = (2 * Math.PI * index) / nodes.length - Math.PI / 2;
      places.set(node.id, [200 + 1.35 * radius * Math.cos(turn), 148 + radius * Math.sin(turn)]);
    });
    const up = board.links.filter((link) => link.state === "up").length;
    const alive = nodes.filter((node) => node.state === "alive").length;
    const parts = [make("title", { id: "picture-title" },
      `${nodes.length} nodes, ${alive} of them alive; ${up} of ${board.links.length} links are up`)];
    for (const link of board.links) {
      const from = places.get(link.a), to = places.get(link.b);
      if (!from || !to) continue;
      const line = make("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], class: link.state });
      const rtt = link.rtt_ms === null ? "" : `, ${link.rtt_ms.toFixed(2)} ms`;
      line.append(make("title", {}, `${link.a} – ${link.b}: ${link.state}${rtt}`));
      parts.push(line);
    }
    for (const node of nodes) {
      const [x, y] = places.get(node.id);
      const state = KNOWN.includes(node.state) ? node.state : "gone";
      const group = make("g", { class: state + (node.id === board.me ? " me" : "") });
      group.append(make("circle", { cx: x, cy: y, r: nodes.length > LABELLED_MAX ? 5 : 11 }));
      group.append(make("title", {}, `${node.id}: ${node.state}`));
      if (nodes.length <= LABELLED_MAX)
        group.append(make("text", { x, y: y < 148 ? y - 17 : y + 26 }, short(node.id)));
      parts.push(group);
    }
    svg.replaceChildren(...parts);
  };
})();
