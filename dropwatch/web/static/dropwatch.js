// Light, dark or as the system has it: remembered in this browser, and known to the page before it is painted.
(() => {
  const name = "dropwatch-theme";
  const said = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`));
  let chosen = said && said.slice(name.length + 1);
  const apply = () => {
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    window.Quasar?.Dark.set({ light: false, dark: true }[chosen] ?? "auto");
  };
  apply();
  document.addEventListener("DOMContentLoaded", apply); // Quasar is there now
  window.dropwatchTheme = (theme) => {
    chosen = theme;
    apply();
    document.cookie = `${name}=${theme}; path=/; max-age=31536000; samesite=lax`;
  };
})();

// What a form kept in this tab is nothing for who signs in here next. And the page does not load itself anew when its
// wire ends before the answer has come: that would put another page into the history than the one that was left.
document.addEventListener("submit", (event) => {
  if (event.target.getAttribute("action") !== "/sign-out") return;
  sessionStorage.clear();
  window.socket?.off().disconnect();
});
