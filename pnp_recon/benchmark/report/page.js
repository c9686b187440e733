// A click on a header, or Enter on it, sorts its table; again, the other way round.
document.querySelectorAll("th button").forEach((button) => {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    const table = header.closest("table");
    const body = table.tBodies[0];
    const column = header.cellIndex;
    const down = header.getAttribute("aria-sort") === "ascending";
    const key = (row) => row.cells[column].dataset.value ?? "";
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      const numeric = x !== "" && y !== "";
      // What has no number stays below, whichever way round.
      if ((x === "") !== (y === "")) return x === "" ? 1 : -1;
      const order = numeric
        ? Number(x) - Number(y)
        : a.cells[column].textContent.localeCompare(b.cells[column].textContent, undefined,
                                                    { numeric: true });
      return down ? -order : order;
    };
    [...body.rows].sort(compare).forEach((row) => body.append(row));
    table.querySelectorAll("th").forEach((other) => other.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
});
