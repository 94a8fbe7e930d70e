// Light, dark or as the system has it: remembered in this browser, and known to the page before it is painted.
(() => {
  const name = "dropwatch-theme";
  const said = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`));
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply(said && said.slice(name.length + 1));
  window.dropwatchTheme = (theme) => {
    apply(theme);
    document.cookie = `${name}=${theme}; path=/; max-age=31536000; samesite=lax`;
  };
})();
