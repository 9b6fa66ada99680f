// Line charts of a run: a small SVG drawing without dependencies. All text is set as text, never as HTML.
//
// studioChart(element, {
//   title: "Loss", zero: false, digits: 3 | "e",
//   series: [{name, color: "var(--ls-s1)", x: [...], y: [...], dots: false, width: 2, opacity: 1}]
// })
(function () {
  "use strict";
  var SVG = "http://www.w3.org/2000/svg";
  var HEIGHT = 200, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 24, LINES = 4;

  function node(name, attributes, text) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes || {}).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function number(value, digits) {
    if (digits === "e") return value === 0 ? "0" : value.toExponential(1);
    if (digits === 0) return Math.round(value).toLocaleString("en");
    return value.toFixed(digits === undefined ? 2 : digits);
  }

  function finite(series) {
    var x = [], y = [];
    (series.x || []).forEach(function (value, i) {
      if (isFinite(value) && series.y[i] !== null && isFinite(series.y[i])) { x.push(value); y.push(series.y[i]); }
    });
    return Object.assign({}, series, { x: x, y: y });
  }

  function limits(series, zero) {
    var xs = [].concat.apply([], series.map(function (one) { return one.x; }));
    var ys = [].concat.apply([], series.map(function (one) { return one.y; }));
    if (!xs.length) return null;
    var low = Math.min.apply(null, ys), high = Math.max.apply(null, ys);
    var room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
    var first = Math.min.apply(null, xs), last = Math.max.apply(null, xs);
    var bottom = zero || (low >= 0 && low < 3 * room) ? 0 : low - room; // what is never negative has no axis below 0
    return { first: first, last: last > first ? last : first + 1, low: bottom, high: high + room };
  }

  // Round numbers between low and high, LINES of them or a few more, 1, 2 or 5 times a power of ten apart and never closer than `least`.
  function ticks(low, high, least) {
    var rough = (high - low) / LINES, power = Math.pow(10, Math.floor(Math.log10(rough)));
    var apart = Math.max(least, power * [1, 2, 5, 10].find(function (times) { return times * power >= rough * 0.6; }));
    var found = [];
    for (var i = Math.ceil(low / apart - 1e-9); i * apart <= high + apart * 1e-9; i++) found.push(i * apart || 0); // never "-0"
    return found;
  }

  function grid(svg, at, range, width, digits) {
    ticks(range.low, range.high, 0).forEach(function (y) {
      svg.append(
        node("line", { "class": "g", x1: LEFT, x2: width - RIGHT, y1: at.y(y), y2: at.y(y) }),
        node("text", { x: LEFT - 8, y: at.y(y) + 4, "text-anchor": "end" }, number(y, digits))
      );
    });
    ticks(range.first, range.last, 1).forEach(function (x) {
      var place = at.x(x), anchor = place < LEFT + 20 ? "start" : place > width - RIGHT - 20 ? "end" : "middle";
      svg.append(
        node("line", { "class": "g", x1: place, x2: place, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
        node("text", { x: place, y: HEIGHT - 4, "text-anchor": anchor }, x.toLocaleString("en"))
      );
    });
  }

  function line(svg, at, one) {
    if (one.dots || one.x.length === 1) {
      one.x.forEach(function (x, i) {
        svg.append(node("circle", { cx: at.x(x), cy: at.y(one.y[i]), r: 3.5, style: "fill:var(--ls-card);stroke:" + one.color, "stroke-width": 2 }));
      });
      return;
    }
    var points = one.x.map(function (x, i) { return at.x(x).toFixed(1) + "," + at.y(one.y[i]).toFixed(1); }).join(" ");
    svg.append(node("polyline", { points: points, style: "stroke:" + one.color, fill: "none", "stroke-width": one.width || 2, opacity: one.opacity || 1, "stroke-linejoin": "round" }));
  }

  function draw(element) {
    var data = element.studioData, width = element.clientWidth || 600;
    var series = (data.series || []).map(finite).filter(function (one) { return one.x.length; });
    var range = limits(series, data.zero);
    element.replaceChildren();
    element.studioPoints = null;
    if (!range) {
      var wait = document.createElement("p");
      wait.className = "wait";
      wait.textContent = data.waiting || "Waiting for the first step…";
      element.append(wait);
      return;
    }
    var at = {
      x: function (value) { return LEFT + (value - range.first) / (range.last - range.first) * (width - LEFT - RIGHT); },
      y: function (value) { return TOP + (1 - (value - range.low) / (range.high - range.low)) * (HEIGHT - TOP - BOTTOM); }
    };
    var last = series.map(function (one) { return one.name + " " + number(one.y[one.y.length - 1], data.digits); }).join(", ");
    var svg = node("svg", { viewBox: "0 0 " + width + " " + HEIGHT, role: "img", "aria-label": (data.title || "Chart") + ", step " + Math.round(range.last) + ": " + last });
    grid(svg, at, range, width, data.digits);
    series.forEach(function (one) { line(svg, at, one); });
    element.append(svg);
    element.studioPoints = { series: series, at: at, digits: data.digits };
  }

  function tip(element, event) {
    var points = element.studioPoints, old = element.querySelector(".ls-tip");
    if (!points) return;
    var box = element.getBoundingClientRect(), pointer = event.clientX - box.left;
    var near = points.series.map(function (one) {
      var best = 0;
      one.x.forEach(function (x, i) { if (Math.abs(points.at.x(x) - pointer) < Math.abs(points.at.x(one.x[best]) - pointer)) best = i; });
      return { name: one.name, x: one.x[best], y: one.y[best], away: Math.abs(points.at.x(one.x[best]) - pointer) };
    }).filter(function (one) { return one.away < 40; });
    if (!near.length) { if (old) old.remove(); return; }
    var shown = old || element.appendChild(Object.assign(document.createElement("div"), { className: "ls-tip" }));
    shown.textContent = "step " + near[0].x.toLocaleString("en") + "  " + near.map(function (one) {
      return one.name + " " + (points.digits === "e" ? one.y.toExponential(2) : number(one.y, points.digits));
    }).join("  ");
    shown.style.left = Math.min(Math.max(pointer, 90), box.width - 90) + "px";
    shown.style.top = "30px";
  }

  window.studioChart = function (element, data) {
    if (!element || !data) return;
    element.studioData = data;
    draw(element);
    if (element.studioWatched) return;
    element.studioWatched = true;
    element.addEventListener("mousemove", function (event) { tip(element, event); });
    element.addEventListener("mouseleave", function () { var old = element.querySelector(".ls-tip"); if (old) old.remove(); });
    var width = element.clientWidth;
    new ResizeObserver(function () { if (element.clientWidth !== width) { width = element.clientWidth; draw(element); } }).observe(element);
  };
})();
