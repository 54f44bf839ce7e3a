// Before the first paint, so that a chosen theme does not flash: what was chosen here, or else what the system says.
try {
  const chosen = localStorage.getItem("loghttp-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is forbidden: the system's theme it is.
}
