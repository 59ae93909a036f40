"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const svg = document.querySelector("#plot svg");
  const cursor = document.getElementById("cursor");
  const tip = document.getElementById("tip");
  const rows = document.querySelectorAll("table.values tbody tr");
  const namespace = "http://www.w3.org/2000/svg";
  let current = -1;

  const draw = (name, attributes) => {
    const node = document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    cursor.appendChild(node);
  };

  const cell = (row, text) => {
    const td = row.insertCell();
    td.textContent = text;
  };

  const hide = () => {
    cursor.replaceChildren();
    tip.hidden = true;
    rows.forEach(row => row.classList.remove("at"));
    current = -1;
  };

  // The tip stays inside the picture, on the side of the cursor that has room.
  const placeTip = x => {
    const scale = svg.clientWidth / data.width;
    const at = x * scale;
    const left = at + 14 + tip.offsetWidth <= svg.clientWidth ? at + 14 : Math.max(0, at - 14 - tip.offsetWidth);
    tip.style.left = left + "px";
    tip.style.top = data.top * scale + 12 + "px";
  };

  const show = index => {
    hide();
    current = index;
    const radius = data.radii[index];
    draw("line", { x1: radius.x, x2: radius.x, y1: data.top, y2: data.bottom, stroke: "#555", "stroke-dasharray": "3 3" });
    for (const value of radius.values)
      if (value.y !== null) draw("circle", { cx: radius.x, cy: value.y, r: 6, fill: "none", stroke: "#111", "stroke-width": 1.5 });

    const heading = document.createElement("strong");
    heading.textContent = "radius " + radius.text;
    const table = document.createElement("table");
    for (const value of radius.values) {
      const row = table.insertRow();
      cell(row, value.name);
      cell(row, value.text);
    }
    tip.replaceChildren(heading, table);
    tip.hidden = false;
    placeTip(radius.x);
    rows[index].classList.add("at");
  };

  const nearest = event => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * data.width;
    let best = 0;
    data.radii.forEach((radius, index) => {
      if (Math.abs(radius.x - x) < Math.abs(data.radii[best].x - x)) best = index;
    });
    return best;
  };

  svg.addEventListener("pointermove", event => show(nearest(event)));
  svg.addEventListener("pointerdown", event => show(nearest(event)));
  svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") hide(); });
  svg.addEventListener("focus", () => { if (current < 0) show(0); });
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", event => {
    const last = data.radii.length - 1;
    const target = {
      ArrowRight: Math.min(last, current + 1),
      ArrowLeft: Math.max(0, current - 1),
      Home: 0,
      End: last
    }[event.key];
    if (event.key === "Escape") hide();
    else if (target !== undefined) { show(target); event.preventDefault(); }
  });
})();
