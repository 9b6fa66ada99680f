// The Compare page's own inputs and keys. Who answers is sent whole at each change, so that no change overtakes another.
//
// studioCompare.lineUp(element, trigger)   the cells of the columns and the sliders of their mixes
// studioCompare.said()                     who answers in each column, as the inputs say now
// studioCompare.keys()                     what the keyboard does on the page
(function () {
  "use strict";

  function all(element, selector) { return Array.prototype.slice.call(element.querySelectorAll(selector)); }

  // Of each column: who answers, in the words of lineup.py, and what it has of its own.
  function said() {
    return all(document, ".ls-pick").map(function (cell, place) {
      var select = cell.querySelector("select"); // "mix" alone says nothing: until it has weights, it is what it was
      var who = select.value === "mix" ? select.dataset.was : select.value;
      var weights = all(document, '.ls-mix[data-of="' + place + '"] .ls-weight').map(function (part) {
        return part.dataset.part + "*" + part.querySelector("input[type=number]").value;
      });
      var column = { who: weights.length ? weights.join(" ") : who };
      all(cell, "[data-own]").forEach(function (input) { column[input.dataset.own] = input.value; });
      return column;
    });
  }

  function lineUp(element, trigger) {
    function tell(event, act, place, value) {
      trigger(event, { act: act, place: place, value: value || "", columns: said() });
    }

    element.addEventListener("input", function (event) {
      var part = event.target.closest(".ls-weight");
      if (!part || !event.target.checkValidity() || event.target.value === "") return;
      all(part, "input").forEach(function (input) { if (input !== event.target) input.value = event.target.value; });
      trigger("input");
    });

    element.addEventListener("change", function (event) {
      var at = event.target;
      if (at.dataset.who !== undefined) tell("select", "who", Number(at.dataset.who), at.value);
      else if (at.dataset.mixIn !== undefined) { if (at.value) tell("select", "mix-in", Number(at.dataset.mixIn), at.value); }
      else if (at.dataset.own !== undefined) {
        if (!at.reportValidity()) return;
        var own = at.closest("details"), set = all(own, "[data-own]").filter(function (input) { return input.value !== ""; });
        own.querySelector("summary").textContent = "Own settings" + (set.length ? " · " + set.length + " set" : "");
        trigger("input");
      }
    });

    element.addEventListener("click", function (event) {
      var button = event.target.closest("button[data-act]");
      if (!button || button.disabled) return;
      var act = button.dataset.act.split(" "); // "mix-out 2": the act and its column
      var place = act.length > 1 ? act[1] : button.dataset.id;
      tell(button.dataset.on || "click", act[0], Number(place || 0), button.dataset.id);
    });
  }

  var fields = "input, textarea, select, [contenteditable], [role=listbox], summary";

  function press(selector) {
    var button = all(document, selector).filter(function (one) { return one.offsetParent && !one.disabled; })[0];
    if (button) button.click();
    return Boolean(button);
  }

  function columns() { return all(document, ".ls-answer"); }

  function to(column) {
    if (!column) return;
    column.focus({ preventScroll: true });
    column.scrollIntoView({ block: "nearest", inline: "center" });
  }

  // On a phone, and below many settings, the answers would be written out of sight.
  function inSight() {
    var answers = document.querySelector(".ls-answers");
    if (answers && answers.getBoundingClientRect().top > 0.7 * window.innerHeight) answers.scrollIntoView();
  }

  // Letters press buttons only of the column or the ballot that has the focus: a stray key may do nothing.
  function keys() {
    if (window.studioKeys) return;
    window.studioKeys = true;
    document.addEventListener("click", function (event) {
      if (event.target.closest(".ls-prompt button:not(.ls-stop)")) inSight();
    });
    document.addEventListener("keydown", function (event) { // before Gradio's own, which sends the question
      if (event.key === "Enter" && !event.shiftKey && event.target.closest(".ls-prompt") && event.target.value) inSight();
    }, true);
    document.addEventListener("keydown", function (event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
      var at = event.target, prompt = document.querySelector(".ls-prompt textarea");
      if (!prompt || !at.closest) return;
      var writing = at === prompt;
      if (at.closest(fields) && !writing) return;
      var column = at.closest(".ls-answer"), ballot = at.closest(".ls-votes");
      if (event.key === "Escape") {
        if (!press(".ls-stop") && !press('[data-act="keep"]')) prompt.focus();
      } else if (event.key === "ArrowUp" && writing && !prompt.value) {
        var edits = columns().length ? all(columns()[0], '[data-act="edit"]') : [];
        if (edits.length) { event.preventDefault(); edits[edits.length - 1].click(); }
      } else if (!writing && !ballot && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
        var found = columns(), place = found.indexOf(column), step = event.key === "ArrowRight" ? 1 : -1;
        if (found.length) { event.preventDefault(); to(found[place < 0 ? 0 : Math.min(Math.max(place + step, 0), found.length - 1)]); }
      } else if (ballot) {
        var vote = ballot.querySelector('button[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]');
        if (vote && !vote.disabled) vote.click();
      } else if (column) {
        var act = { r: '[data-act="again"]', s: '[data-act="stop"]', c: "[data-copy]" }[event.key.toLowerCase()];
        var button = act && column.querySelector(act);
        if (button) button.click();
      }
    });
  }

  window.studioCompare = { lineUp: lineUp, keys: keys, said: said };
})();
