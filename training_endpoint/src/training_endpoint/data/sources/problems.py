"""What happened to single rows while they were read: left out, repaired, doubtful; each with its place."""


class Problems:
    """Sentences' ends, how often each is true, and where it was first."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, str]] = {}
        self.file, self.unit, self.number = "", "row", 0

    @property
    def place(self) -> str:
        """Where the reader stands, such as `reviews.csv, line 7`."""
        return f"{self.file}, {self.unit} {self.number:,}"

    def at(self, file: str, number: int, unit: str = "line") -> None:
        """Called by readers for each row."""
        self.file, self.unit, self.number = file, unit, number

    def add(self, what: str) -> None:
        """Counts one more of `what`, here."""
        times, first = self.found.get(what, (0, self.place))
        self.found[what] = (times + 1, first)

    def lines(self) -> list[str]:
        """For people: `3 rows left out: not two cells (the first: reviews.csv, line 7)`."""
        return [f"{times:,} {what} (the first: {first})" for what, (times, first) in self.found.items()]

    def quiet(self) -> "Problems":
        """One that knows the same place and counts nothing: for a second pass over the same rows."""
        return _Quiet(self)


class _Quiet(Problems):
    def __init__(self, of: Problems) -> None:
        super().__init__()
        self._of = of

    def at(self, file: str, number: int, unit: str = "line") -> None:
        self._of.at(file, number, unit)

    def add(self, what: str) -> None:
        pass
