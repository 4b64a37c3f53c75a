// Runs before the first paint, so that a theme that differs from the system's does not flash.
(() => {
    try {
        const theme = JSON.parse(localStorage.getItem("asynq.settings") || "{}").theme;
        if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    } catch {
        // No storage, or somebody else's data in it: the system's theme.
    }
})();
