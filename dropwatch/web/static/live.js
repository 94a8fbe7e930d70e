/* When the connection is lost, or the tab is looked at again: is the visitor still signed in? If not, the page is
   loaded again, which leads to the sign-in page. Nothing of an ended session stays on the screen. */
(() => {
  const check = async () => {
    const answer = await fetch("/api/me", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) window.location.reload();
  };
  const listen = () => {
    if (!window.socket) return setTimeout(listen, 200);
    window.socket.on("disconnect", check);
    window.socket.on("connect_error", check);
  };
  document.addEventListener("visibilitychange", () => document.hidden || check());
  window.addEventListener("pageshow", (shown) => shown.persisted && check());
  listen();
})();
