// Runs before anything is drawn: the theme that the person chose, and the page's own title.
(function () {
  "use strict";
  var KEY = "studio-theme";
  var remembered = null;
  try { remembered = localStorage.getItem(KEY); } catch (error) { /* storage may be forbidden: follow the system */ }
  var asked = /[?&]__theme=(dark|light)/.exec(location.search);
  var system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  var theme = (asked && asked[1]) || remembered || system;

  function apply() {
    document.documentElement.style.colorScheme = theme;
    if (document.body) document.body.classList.toggle("dark", theme === "dark");
  }

  apply();
  document.addEventListener("DOMContentLoaded", function () {
    apply();
    // Gradio puts the system's theme back while it mounts: keep ours.
    new MutationObserver(function () {
      if (document.body.classList.contains("dark") !== (theme === "dark")) apply();
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });

  // A page turn that is wished while rows are still on their way is kept until they are there (pages/runs.py).
  document.addEventListener("click", function (event) {
    var turn = event.target.closest && event.target.closest("#ls-next, #ls-previous");
    if (turn) window.studioTurn = turn.id === "ls-next" ? 1 : -1;
  }, true);

  document.addEventListener("click", function (event) {
    if (!event.target.closest || !event.target.closest("button.ls-theme")) return;
    theme = theme === "dark" ? "light" : "dark";
    try { localStorage.setItem(KEY, theme); } catch (error) { /* stays for this page only */ }
    apply();
  });

  // Gradio gives every page the same title. Ours stands in the head.
  var meta = document.querySelector('meta[name="studio-title"]');
  if (!meta) return;
  function title() { if (document.title !== meta.content) document.title = meta.content; }
  title();
  new MutationObserver(title).observe(document.head, { childList: true, subtree: true, characterData: true });
})();
