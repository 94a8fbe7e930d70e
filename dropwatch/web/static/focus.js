/* Parts of a page are drawn again while the keyboard is in them, or take away what was pressed. It then goes on where it
   was: at what has the same place in that part ([data-redrawn]). A dialog in between changes nothing. */
(() => {
  const STOPS = "a[href], button, input, select, textarea, [tabindex='0']";
  const seen = (one) => one.isConnected && !one.disabled && one.tabIndex >= 0 && one.getClientRects().length > 0;
  const stops = (part) => [...part.querySelectorAll(STOPS)].filter(seen);
  let part = null, place = 0, at = null, due = 0;

  const asked = (target) => target instanceof Element && target.closest("[role='dialog']");
  document.addEventListener("pointerdown", (event) => { if (!asked(event.target)) part = null; }, true);
  document.addEventListener("focusin", ({ target }) => {
    if (asked(target)) return;
    at = target;
    part = target.closest("[data-redrawn]");
    place = part ? stops(part).indexOf(target) : 0;
  });

  const mend = () => {
    due = 0;
    if (!part || document.activeElement !== document.body) return;
    const left = stops(part);
    (seen(at) ? at : left[Math.min(place, left.length - 1)] ?? stops(part.closest("section") ?? document.body)[0])?.focus();
  };
  new MutationObserver(() => { due ||= setTimeout(mend, 30); }).observe(document, { childList: true, subtree: true });
})();
