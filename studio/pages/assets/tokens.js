// Tokens of a row by keyboard: one of them is reached by Tab, arrow keys go on from there, and each is told in words below.
(function () {
  "use strict";
  function tokenOf(event) { return event.target.closest ? event.target.closest(".ls-tok [data-token]") : null; }

  function tell(token) {
    var region = token.closest(".ls-tok"), said = region.parentElement.querySelector(".ls-token-said");
    if (!said) return;
    var kind = token.classList.contains("t") ? "trained on" : "only read";
    if (token.classList.contains("s")) kind += ", written by the template";
    said.textContent = "Token " + JSON.stringify(token.textContent) + ", number " + token.dataset.token + ", " + kind + ".";
  }

  // The token of the line above (-1) or below (1) that is nearest.
  function beside(all, at, way) {
    var here = all[at].getBoundingClientRect(), line = null, best = at;
    for (var i = at + way; i >= 0 && i < all.length; i += way) {
      var box = all[i].getBoundingClientRect();
      if (Math.abs(box.top - here.top) < here.height / 2) continue;
      if (line === null) line = box.top;
      if (Math.abs(box.top - line) > here.height / 2) break;
      if (best === at || Math.abs(box.left - here.left) < Math.abs(all[best].getBoundingClientRect().left - here.left)) best = i;
    }
    return best;
  }

  document.addEventListener("keydown", function (event) {
    var token = tokenOf(event);
    if (!token || event.ctrlKey || event.metaKey || event.altKey) return;
    var all = Array.from(token.closest(".ls-tok").querySelectorAll("[data-token]")), at = all.indexOf(token);
    var to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "ArrowDown") to = beside(all, at, 1);
    if (event.key === "ArrowUp") to = beside(all, at, -1);
    if (to === undefined) return;
    event.preventDefault();
    if (all[to]) all[to].focus();
  });
  document.addEventListener("focusin", function (event) {
    var token = tokenOf(event);
    if (!token) return;
    var before = token.closest(".ls-tok").querySelector('[data-token][tabindex="0"]');
    if (before && before !== token) before.tabIndex = -1;
    token.tabIndex = 0;
    tell(token);
  });
  document.addEventListener("mouseover", function (event) {
    var token = tokenOf(event);
    if (token) tell(token);
  });
})();
